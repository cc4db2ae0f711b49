import { IncomingMessage, ServerResponse } from 'node:http';
import { Fit, ModelMemoryEstimate, MemoryManager } from './index.js';

/** An error as OpenAI's interface has it, with the numbers of ours. */
interface ErrorBody {
    /** What went wrong. */
    error: {
        /** For people. */
        message: string;
        /** Whose matter it is: the server has no room now, or the request never will. */
        type: 'server_error' | 'invalid_request_error';
        /** No parameter is to blame. */
        param: null;
        /** The code of the error. */
        code: string;
        /** The error's own numbers. */
        [detail: string]: unknown;
    };
}
/** What a server answers. */
interface ErrorAnswer {
    /** The HTTP status. */
    status: number;
    /** The headers, with `retry-after` where that helps. */
    headers: Record<string, string>;
    /** The body, as an object. */
    body: ErrorBody;
}
/**
 * What to answer for an error of this package: 503 with `Retry-After` where it may be granted later, 400 where it never is, and nothing
 * for any other error, whose answer is not memory's business.
 *
 * @throws {@link InvalidArgumentError} for seconds that are no whole number.
 */
declare function errorAnswer(error: unknown, retryAfter?: number): ErrorAnswer | undefined;

/** Why a request is refused before anything is done for it. */
interface Pressure {
    /** What is short: the level of the monitor, what is free, or the places of the queue. */
    type: 'level' | 'availableBytes' | 'waiting';
    /** How it stands: `'critical'`, bytes that are free, or how many wait. */
    value: string | number;
    /** The bound that it is at or beyond. */
    limit: string | number;
    /** A sentence for who is refused. */
    message: string;
}
/** When requests are refused. */
interface PressureOptions {
    /**
     * The level of {@link MemoryManager.monitor | the manager's monitor} from which on requests are refused; it must have been
     * started. `'critical'` by default; with `'none'` the level does not matter.
     */
    level?: 'warning' | 'critical' | 'none';
    /** Requests are refused while the budget has fewer bytes free. 0 by default. */
    minAvailableBytes?: number;
    /** Requests are refused while so many wait in `manager.admission`. As many as may wait there by default. */
    maxWaiting?: number;
    /** What `Retry-After` says, in seconds. 10 by default. */
    retryAfter?: number;
}
/**
 * Whether, and why, a server should refuse what comes now.
 *
 * @throws {@link InvalidArgumentError} for a manager that is none, and an unfit option.
 */
declare function pressureOf(manager: MemoryManager, options?: PressureOptions): Pressure | undefined;
/** A model as `/v1/models` of OpenAI's interface lists it, with the context that it really has. */
interface ModelObject {
    /** The name of the model. */
    id: string;
    /** That it is a model. */
    object: 'model';
    /** When this was asked, in seconds since 1970. */
    created: number;
    /** Whose it is. */
    owned_by: string;
    /** Tokens of a conversation, under the names that llama-server's, vLLM's and other clients look for. */
    context_length: number;
    /** The same, as vLLM has it. */
    max_model_len: number;
    /** The same, as llama-server has it. */
    meta: {
        /** Tokens of a conversation. */
        n_ctx: number;
        /** Conversations at once. */
        n_parallel: number;
    };
}
/**
 * A row of `/v1/models`. The context is that of a {@link Fit} or an estimate: what fits here, not what the model was trained with.
 *
 * @throws {@link InvalidArgumentError} for an id or an owner that is no string, and for what has no context.
 */
declare function modelObject(id: string, has: Fit | ModelMemoryEstimate, ownedBy?: string): ModelObject;

/** What every middleware takes. */
interface MemoryPressureOptions<Request = IncomingMessage, Response = ServerResponse> extends PressureOptions {
    /** Whose budget, monitor and queue are looked at. */
    manager: MemoryManager;
    /**
     * Is called instead of the answer with 503. One that returns a promise answers by itself; else the request goes on where it
     * has answered nothing. In Fastify what it returns, or resolves to, is sent. None by default.
     */
    pressureHandler?: (request: Request, response: Response, pressure: Pressure) => unknown;
}
/** Middleware as Express, Connect and plain `node:http` call it. */
type MemoryPressureMiddleware = (request: IncomingMessage, response: ServerResponse, next?: (error?: unknown) => void) => boolean;
/**
 * Refuses requests with 503 and `Retry-After` while memory is short, before anything is done for them. Express and Connect take what it
 * returns as it is; a plain `node:http` server calls it first, and goes on where it returns `true`.
 *
 * @throws {@link InvalidArgumentError} for an unfit option.
 * @example
 * app.use(memoryPressure({ manager, retryAfter: 5 })) // Express
 * createServer((request, response) => { if (refuses(request, response)) serve(request, response) }) // node:http
 */
declare function memoryPressure(options: MemoryPressureOptions): MemoryPressureMiddleware;
/**
 * Answers errors of this package that reach the end of an Express or Connect application: 503 with `Retry-After` where it may be granted
 * later, 400 where it never is. Others go on to the next.
 *
 * @example
 * app.use(memoryErrors({ retryAfter: 5 })) // behind all routes
 */
declare function memoryErrors(options?: {
    retryAfter?: number;
}): (error: unknown, _request: IncomingMessage, response: ServerResponse, next: (error?: unknown) => void) => void;
/** An instance of Fastify, of any version and with any types of its own. */
interface FastifyLike {
    addHook(...parameters: never[]): unknown;
    decorate(...parameters: never[]): unknown;
}
/**
 * The same as a plugin of Fastify, with answers for the errors of this package that handlers throw: for those that the application's own
 * error handler leaves to Fastify, with no status of their own. That handler stays as it is. `app.memoryPressure()` tells how it stands.
 *
 * @example
 * await app.register(fastifyMemoryPressure, { manager, retryAfter: 5 })
 */
declare function fastifyMemoryPressure(instance: FastifyLike, options: MemoryPressureOptions<unknown, unknown>): Promise<void>;

export { errorAnswer, fastifyMemoryPressure, memoryErrors, memoryPressure, modelObject, pressureOf };
export type { ErrorAnswer, ErrorBody, MemoryPressureMiddleware, MemoryPressureOptions, ModelObject, Pressure, PressureOptions };
