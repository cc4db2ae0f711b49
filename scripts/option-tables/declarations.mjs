// What the declarations of the package say of options.

import ts from 'typescript'

/** An alias of more than so many types is called by its name. */
const MOST_PARTS = 8

/**
 * @typedef {object} Option
 * @property {string} owner the interface that declares it
 * @property {string} name
 * @property {string[]} types what it may be: the parts of its union, names of types and literals as they are written
 * @property {boolean} mustBeGiven whether every one of the interfaces demands it
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
   * The options of interfaces that are each other's alternatives: their own, then those that they inherit, each once.
   * @param {string[]} names
   * @returns {Option[]}
   */
  optionsOf(names) {
    const named = names.map((name) => this.#interface(name))
    const all = new Set([...named, ...named.flatMap((each) => this.#above(each))])
    const needed = named.map((each) => [each, ...this.#above(each)].flatMap(({ members }) => members.filter(isNeeded)))
    return [...all].flatMap((declaration) =>
      declaration.members.filter(isOption).map((member) => {
        const name = member.name.getText()
        const mustBeGiven = needed.every((members) => members.some((each) => each.name.getText() === name))
        return {
          owner: declaration.name.text,
          name,
          types: this.#typesIn(declaration, member),
          mustBeGiven,
          comment: commentOf(member),
        }
      }),
    )
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

/** Whether an option must be given; one that says which of several kinds is meant says so by its type. */
const isNeeded = (member) =>
  isOption(member) && member.questionToken === undefined && !(member.type && ts.isLiteralTypeNode(member.type))

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
