import { type IncomingHttpHeaders, request } from 'node:http'
import type { Dashboard, DashboardMoment, DashboardState } from 'plimsoll/dashboard'

export interface Answer {
  status: number | undefined
  headers: IncomingHttpHeaders
  text: string
}

/** What is answered to one request, as a program sends it: fetch() does not let one name another host. */
export const ask = (dashboard: { port: number }, path: string, headers: Record<string, string> = {}, method = 'GET') =>
  new Promise<Answer>((resolve, reject) => {
    const call = request({ host: '127.0.0.1', port: dashboard.port, path, headers, method }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (piece) => {
        text += piece
      })
      response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, text }))
    })
    call.on('error', reject).end()
  })

export const pathOf = (link: string) => {
  const { pathname, search } = new URL(link)
  return pathname + search
}

/** What a browser has that has opened a link. */
export interface Session {
  cookie: string
  /** The path that brings figures, with the cookie. */
  events: string
}

export async function sessionFrom(dashboard: Dashboard, link = dashboard.link()): Promise<Session> {
  const { headers } = await ask(dashboard, pathOf(link))
  const [, key] = /^\/#([\w-]{43})$/.exec(headers.location ?? '') ?? []
  return { cookie: headers['set-cookie']?.[0]?.split(';')[0] ?? '', events: `/events?key=${key}` }
}

/** What a page is sent. */
export async function* eventsOf(dashboard: Dashboard, { cookie, events }: Session) {
  const response = await fetch(`${dashboard.url}${events.slice(1)}`, { headers: { cookie } })
  expect(response.headers.get('content-type')).toBe('text/event-stream')
  let text = ''
  for await (const piece of response.body as unknown as AsyncIterable<Uint8Array>) {
    text += Buffer.from(piece).toString('latin1')
    for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
      const [, event = '', data = ''] = /^event: (.*)\ndata: (.*)$/m.exec(text.slice(0, end)) ?? []
      text = text.slice(end + 2)
      yield { event, data: JSON.parse(data) }
    }
  }
}

/** What it is sent first: the moments before, and the state. */
export async function firstEvents(dashboard: Dashboard): Promise<[DashboardMoment[], DashboardState]> {
  const events = eventsOf(dashboard, await sessionFrom(dashboard))
  const [history, state] = [await events.next(), await events.next()].map(({ value }) => value)
  await events.return(undefined)
  return [history?.data, state?.data]
}
