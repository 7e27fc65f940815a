// Reads one call in strace's notation. Text is "binary": each character is one byte of what was written.

/** What strace writes for an argument. What can't be understood is kept as `opaque`; it fails only where it matters. */
export type Value =
  | {readonly kind: 'number'; readonly value: bigint}
  | {readonly kind: 'string'; readonly bytes: Buffer; readonly truncated: boolean}
  | {readonly kind: 'name'; readonly name: string}
  | {readonly kind: 'not'; readonly operand: Value}
  | {readonly kind: 'binary'; readonly operator: Operator; readonly left: Value; readonly right: Value}
  | {readonly kind: 'call'; readonly name: string; readonly arguments: readonly Value[]}
  | {readonly kind: 'struct'; readonly fields: readonly Field[]; readonly complete: boolean}
  | {readonly kind: 'array'; readonly items: readonly Value[]; readonly complete: boolean}
  | {readonly kind: 'opaque'; readonly text: string}

export type Operator = '*' | '+' | '-' | '<<' | '|'

export interface Field {
  /** Undefined for what stands in a struct without a name. */
  readonly name: string | undefined
  readonly value: Value
}

export interface CallResult {
  /** Undefined for `?`. */
  readonly value: bigint | undefined
  /** `EPERM`. */
  readonly errno: string | undefined
}

export interface ParsedCall {
  readonly name: string
  readonly arguments: readonly Value[]
  readonly result: CallResult | undefined
}

export class NotationError extends Error {
  /** Where in the text it went wrong. */
  readonly at: number

  constructor(at: number, expected: string) {
    super(`${expected} expected at character ${at + 1}`)
    this.name = 'NotationError'
    this.at = at
  }
}

const NAME = /[A-Za-z_][A-Za-z0-9_]*/y
const NUMBER = /0[xX][0-9a-fA-F]+|0[0-7]+(?![0-9])|\d+/y
const SPACE = /(?:\s|\/\*(?:[^*]|\*(?!\/))*\*\/)+/y
const RESULT = /\s*=\s*(\?|-?(?:0x[0-9a-f]+|\d+))/y

const ESCAPES: Readonly<Record<string, number>> = {a: 7, b: 8, t: 9, n: 10, v: 11, f: 12, r: 13, e: 27}

/** Nesting that no call of the kernel reaches; keeps a hostile file from exhausting the stack. */
const DEPTH_MAX = 32

/** `mknodat(AT_FDCWD, "null", S_IFCHR|0666, makedev(1, 3)) = 0`, whole or up to its closing parenthesis. */
export function parseCall(text: string): ParsedCall {
  const parser = new Parser(text)
  const call = parser.call()
  parser.end()
  return call
}

/** Leaves alone what follows the result: times, texts of errors. */
export function parseTracedCall(text: string): ParsedCall {
  return new Parser(text).call()
}

class Parser {
  readonly #text: string
  #at = 0
  #depth = 0

  constructor(text: string) {
    this.#text = text
  }

  call(): ParsedCall {
    this.#space()
    const name = this.#match(NAME)
    if (name === undefined) throw new NotationError(this.#at, 'the name of a system call')
    this.#expect('(')
    const list = this.#list(')', true)
    return {name, arguments: list.items, result: this.#result()}
  }

  #result(): CallResult | undefined {
    const value = this.#groups(RESULT)?.[1]
    if (value === undefined) return undefined
    this.#decoration()
    const errno = this.#groups(/\s+(E[A-Z0-9]+)/y)?.[1]
    return {value: value === '?' ? undefined : toBigInt(value), errno}
  }

  /** Only the words of an error, a time or a semicolon may follow a call that a person typed. */
  end(): void {
    this.#match(/\s*(?:\([^()]*\))?\s*(?:<[\d.]+>)?\s*;?\s*/y)
    if (this.#at < this.#text.length) throw new NotationError(this.#at, 'the end')
  }

  /** Items up to `close`, which is consumed. `...` as last item means that there is more. */
  #list(close: string, tolerant: boolean): {items: Value[]; complete: boolean} {
    const items: Value[] = []
    for (;;) {
      this.#space()
      if (this.#take(close)) return {items, complete: true}
      if (this.#take('...')) {
        this.#space()
        this.#expect(close)
        return {items, complete: false}
      }
      items.push(tolerant ? this.#argument() : this.#expression())
      this.#space()
      if (!this.#take(',') && this.#text[this.#at] !== close) {
        // Sets of signals stand without commas: [HUP INT].
        if (close !== ']' || this.#at >= this.#text.length) throw new NotationError(this.#at, `, or ${close}`)
      }
    }
  }

  /** One argument of a call. What is not understood becomes opaque up to its comma. */
  #argument(): Value {
    const start = this.#at
    try {
      // `flags=CLONE_VM`: strace names the arguments of calls whose order differs between machines.
      if (this.#match(/[A-Za-z_]\w*=(?![=>])/y) !== undefined) this.#space()
      const value = this.#expression()
      this.#space()
      // `{...} => {...}`: before the call and after it.
      if (this.#take('=>')) {
        this.#space()
        this.#expression()
        this.#space()
      }
      if (this.#text[this.#at] === ',' || this.#text[this.#at] === ')') return value
    } catch (error) {
      if (!(error instanceof NotationError)) throw error
    }
    this.#at = start
    this.#skip()
    return {kind: 'opaque', text: this.#text.slice(start, this.#at).trim()}
  }

  /** To the next comma or parenthesis that belongs to the call itself. */
  #skip(): void {
    let open = 0
    for (; this.#at < this.#text.length; this.#at++) {
      const character = this.#text.charAt(this.#at)
      if (character === '"') {
        this.#string()
        this.#at--
      } else if ('([{'.includes(character)) open++
      else if (open === 0 && (character === ',' || character === ')')) return
      else if (')]}'.includes(character)) open--
    }
    throw new NotationError(this.#at, ')')
  }

  #expression(): Value {
    if (this.#depth >= DEPTH_MAX) throw new NotationError(this.#at, 'something less deep')
    this.#depth++
    try {
      let left = this.#unary()
      for (;;) {
        this.#space()
        const operator = this.#match(/\|(?!\|)|<<|[*+]|-(?=\d)/y) as Operator | undefined
        if (operator === undefined) return left
        this.#space()
        left = {kind: 'binary', operator, left, right: this.#unary()}
      }
    } finally {
      this.#depth--
    }
  }

  #unary(): Value {
    if (this.#take('~')) return {kind: 'not', operand: this.#unary()}
    if (this.#take('-')) {
      const digits = this.#match(NUMBER)
      if (digits === undefined) throw new NotationError(this.#at, 'a number')
      this.#decoration()
      return {kind: 'number', value: -toBigInt(digits)}
    }
    return this.#primary()
  }

  #primary(): Value {
    const character = this.#text[this.#at]
    if (character === '"') return this.#string()
    if (this.#take('{')) return this.#struct()
    if (this.#take('[')) return {kind: 'array', ...this.#list(']', false)}
    if (this.#take('(')) {
      const value = this.#expression()
      this.#space()
      this.#expect(')')
      return value
    }
    const digits = this.#match(NUMBER)
    if (digits !== undefined) {
      this.#decoration()
      return {kind: 'number', value: toBigInt(digits)}
    }
    const name = this.#match(NAME)
    if (name === undefined) throw new NotationError(this.#at, 'a value')
    if (this.#take('(')) return {kind: 'call', name, arguments: this.#list(')', false).items}
    this.#decoration()
    return name === 'NULL' ? {kind: 'number', value: 0n} : {kind: 'name', name}
  }

  /** What -y adds to descriptors: `3</dev/null<char 1:3>>`, `AT_FDCWD</root>`. */
  #decoration(): void {
    if (this.#text[this.#at] !== '<' || this.#text[this.#at + 1] === '<') return
    let open = 0
    for (let at = this.#at; at < this.#text.length; at++) {
      const character = this.#text[at]
      if (character === '\\') at++
      else if (character === '<') open++
      else if (character === '>' && this.#text[at - 1] !== '-' && --open === 0) {
        this.#at = at + 1
        return
      }
    }
    throw new NotationError(this.#at, '> after <')
  }

  #struct(): Value {
    const fields: Field[] = []
    for (;;) {
      this.#space()
      if (this.#take('}')) return {kind: 'struct', fields, complete: true}
      if (this.#take('...')) {
        this.#space()
        this.#expect('}')
        return {kind: 'struct', fields, complete: false}
      }
      const named = this.#match(/[A-Za-z_]\w*=(?![=>])/y)
      this.#space()
      fields.push({name: named?.slice(0, -1), value: this.#expression()})
      this.#space()
      if (!this.#take(',') && this.#text[this.#at] !== '}') throw new NotationError(this.#at, ', or }')
    }
  }

  #string(): Value {
    const start = this.#at++
    const bytes: number[] = []
    for (;;) {
      const character = this.#text[this.#at++]
      if (character === undefined) throw new NotationError(start, 'a closing quote for the one')
      if (character === '"') break
      bytes.push(character === '\\' ? this.#escape() : character.charCodeAt(0))
    }
    return {kind: 'string', bytes: Buffer.from(bytes), truncated: this.#take('...')}
  }

  #escape(): number {
    const hexadecimal = this.#match(/x[0-9a-fA-F]{1,2}/y)
    if (hexadecimal !== undefined) return parseInt(hexadecimal.slice(1), 16)
    const octal = this.#match(/[0-7]{1,3}/y)
    if (octal !== undefined) return parseInt(octal, 8) & 0xff
    const character = this.#text[this.#at++]
    if (character === undefined) throw new NotationError(this.#at - 1, 'an escaped character')
    return ESCAPES[character] ?? character.charCodeAt(0)
  }

  #space(): void {
    this.#match(SPACE)
  }

  #take(text: string): boolean {
    if (!this.#text.startsWith(text, this.#at)) return false
    this.#at += text.length
    return true
  }

  #expect(text: string): void {
    if (!this.#take(text)) throw new NotationError(this.#at, text)
  }

  #match(pattern: RegExp): string | undefined {
    return this.#groups(pattern)?.[0]
  }

  #groups(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.#at
    const match = pattern.exec(this.#text)
    if (match === null) return undefined
    this.#at += match[0].length
    return match
  }
}

/** A leading 0 means octal, as in C. */
function toBigInt(digits: string): bigint {
  if (digits.startsWith('-')) return -toBigInt(digits.slice(1))
  return BigInt(/^0[0-7]+$/.test(digits) ? `0o${digits.slice(1)}` : digits)
}
