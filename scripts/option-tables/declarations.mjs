// What the declarations of the package say of options.

import ts from 'typescript'

/** An alias of more than so many types is called by its name. */
const MOST_PARTS = 8

/**
 * @typedef {object} Option
 * @property {string} owner the interface that declares it
 * @property {string} name
 * @property {string[]} types what it may be: the parts of its union, names of types and literals as they are written
 * @property {boolean} mustBeGiven whether every one of the interfaces that have it demands it, where a kind tells them apart; else
 *   every one of them
 * @property {string[]} kinds those of the interfaces that have it, where a kind tells them apart and not all have it
 * @property {string} comment its whole comment, links as `{@link X | text}`
 */

export class Declarations {
  /** @type {Map<string, ts.InterfaceDeclaration>} */
  #interfaces = new Map()
  /** @type {Map<string, ts.TypeNode>} */
  #aliases = new Map()
  /** @type {Map<string, ts.TypeNode>} */
  #constants = new Map()

  /** @param {[path: string, text: string][]} files */
  constructor(files) {
    for (const [path, text] of files) {
      for (const statement of ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true).statements) {
        this.#read(statement)
      }
    }
  }

  #read(statement) {
    if (ts.isInterfaceDeclaration(statement)) this.#interfaces.set(statement.name.text, statement)
    if (ts.isTypeAliasDeclaration(statement)) this.#aliases.set(statement.name.text, statement.type)
    if (!ts.isVariableStatement(statement)) return
    for (const { name, type } of statement.declarationList.declarations) {
      if (type !== undefined) this.#constants.set(name.getText(), type)
    }
  }

  /**
   * The options of interfaces that are each other's alternatives: their own, then those that they inherit, each once. What one says
   * anew it does not inherit. Which kind is meant, where they have one each, is one option.
   * @param {string[]} names
   * @returns {Option[]}
   */
  optionsOf(names) {
    const lines = names.map((name) => this.#line(name))
    const kinds = lines.map(kindOf)
    const areKinds = lines.length > 1 && kinds.every((kind) => kind !== undefined)
    const all = new Set([...lines.map(([own]) => own), ...lines.flat()])
    const options = [...all].flatMap((declaration) =>
      declaration.members.filter(isOption).flatMap((member) => {
        const name = member.name.getText()
        const having = lines.filter((line) => nearest(line, name) === member)
        if (having.length === 0) return []
        const asked = areKinds ? having : lines
        return {
          owner: declaration.name.text,
          name,
          types: this.#typesIn(declaration, member),
          mustBeGiven: asked.every((line) => isNeeded(nearest(line, name))),
          kinds: areKinds && having.length < lines.length ? having.map(kindOf).map(plainKind) : [],
          comment: commentOf(member),
        }
      }),
    )
    return areKinds ? withOneKind(options, kinds[0].name.getText()) : options
  }

  /**
   * What interfaces and another have in common, as the latter's names: those of the same declaration, and those that only it has.
   * @param {string[]} names
   * @param {string} other
   */
  sharedWith(names, other) {
    const lines = names.map((name) => this.#line(name))
    const others = this.#line(other)
    const members = [
      ...new Set(others.flatMap(({ members }) => members.filter(isOption)).map((it) => it.name.getText())),
    ]
    const isOf = (name) => lines.some((line) => nearest(line, name) !== undefined)
    return {
      shared: members.filter((name) => lines.some((line) => nearest(line, name) === nearest(others, name))),
      missing: members.filter((name) => !isOf(name)),
    }
  }

  /** An interface and what it inherits from, the nearest first. */
  #line(name) {
    const declaration = this.#interface(name)
    return [declaration, ...this.#above(declaration)]
  }

  /** @param {string} name */
  #interface(name) {
    const declaration = this.#interfaces.get(name)
    if (declaration === undefined) throw new Error(`expected the declarations to have an interface ${name}, got none`)
    return declaration
  }

  /** What an interface inherits from, the nearest first. */
  #above = ({ heritageClauses }) =>
    [...(heritageClauses ?? [])]
      .flatMap(({ types }) => types)
      .map(({ expression }) => this.#interface(expression.getText()))
      .flatMap((parent) => [parent, ...this.#above(parent)])

  #typesIn({ typeParameters }, member) {
    const parameters = new Map(typeParameters?.map((each) => [each.name.text, each.constraint ?? each.default]))
    return ts.isMethodSignature(member) ? [functionText(member)] : this.#typesOf(member.type, parameters)
  }

  /** The parts of a type. Aliases of a few types are told as those; what stands for a parameter is what that may be. */
  #typesOf(type, parameters) {
    if (ts.isParenthesizedTypeNode(type)) return this.#typesOf(type.type, parameters)
    if (ts.isUnionTypeNode(type)) return [...new Set(type.types.flatMap((part) => this.#typesOf(part, parameters)))]
    if (isKeys(type)) return this.#keysOf(type) ?? [plainText(type)]
    const name = ts.isTypeReferenceNode(type) ? type.typeName.getText() : undefined
    const meant = parameters.get(name) ?? this.#aliases.get(name)
    if (meant === undefined || !isTold(meant)) return [plainText(type)]
    const parts = this.#typesOf(meant, parameters)
    return parts.length > MOST_PARTS ? [plainText(type)] : parts
  }

  /** The names of a constant's members. */
  #keysOf({ type }) {
    const constant = this.#constants.get(type.exprName.getText())
    return constant && ts.isTypeLiteralNode(constant)
      ? constant.members.map((member) => `'${member.name.getText()}'`)
      : undefined
  }
}

const isOption = (member) => ts.isPropertySignature(member) || ts.isMethodSignature(member)

const isNeeded = (member) => member !== undefined && member.questionToken === undefined

/** The member of that name that counts: the first in a line of interfaces. */
const nearest = (line, name) =>
  line
    .map(({ members }) => members.find((member) => isOption(member) && member.name.getText() === name))
    .find((member) => member !== undefined)

/** The member of an interface that says which of several it is, by one literal. */
const kindOf = ([own]) =>
  own.members.find((member) => isOption(member) && member.type && ts.isLiteralTypeNode(member.type))

const plainKind = (member) => plainText(member.type)

/** The same with one option in place of those that say which kind is meant. */
function withOneKind(options, name) {
  const [first, ...further] = options.filter((option) => option.name === name)
  const all = [first, ...further]
  const one = {
    ...first,
    types: all.flatMap(({ types }) => types),
    kinds: [],
    comment: all.map(({ types, comment }) => `\`${types}\`: ${comment}`).join(' '),
  }
  return options.filter((option) => !further.includes(option)).map((option) => (option === first ? one : option))
}

const isKeys = (type) =>
  ts.isTypeOperatorNode(type) && type.operator === ts.SyntaxKind.KeyOfKeyword && ts.isTypeQueryNode(type.type)

/** Whether an alias says more when it is told as what it stands for. */
const isTold = (type) =>
  ts.isUnionTypeNode(type) || ts.isFunctionTypeNode(type) || ts.isTypeReferenceNode(type) || isKeys(type)

/** A type as it is written, without its comments. */
const plainText = (type) =>
  type
    .getText()
    .replaceAll(/\/\*[\s\S]*?\*\//g, '')
    .replaceAll(/\s+/g, ' ')
    .replace(/; }$/, ' }')

const functionText = ({ parameters, type }) =>
  `(${parameters.map((each) => plainText(each)).join(', ')}) => ${plainText(type)}`

const commentOf = (member) =>
  ts
    .getJSDocCommentsAndTags(member)
    .filter(ts.isJSDoc)
    .map(({ comment }) => ts.getTextOfJSDocComment(comment) ?? '')
    .join(' ')
    .replaceAll(/\s+/g, ' ')
    .trim()
