// Rules -> classic BPF. Pure: the program comes out with a comment on its tests, for the listing.

import {ABIS, MACHINE_ABIS, X32_SYSCALL_BIT} from '../../kernel/abi.js'
import type {Abi} from '../../kernel/abi.js'
import {syscallName} from '../../kernel/calls/index.js'
import {ERRNO} from '../../kernel/errno.js'
import type {Comparison, Condition} from '../family.js'
import {DATA, MAX_INSTRUCTIONS, OP, actionValue, encode} from './bpf.js'
import type {Action, Instruction, Program} from './bpf.js'

/** Of several rules for one call the first whose condition holds counts. */
export interface Rule {
  readonly abi: Abi
  /** As the kernel sees it: numbers of x32 carry bit 30. */
  readonly number: number
  readonly condition?: Condition
  readonly action: Action
  /** For the listing; the table's name when left out. */
  readonly name?: string
}

export interface FilterOptions {
  /** ABIs whose calls are allowed unless a rule says otherwise; by default those of this machine. */
  readonly abis?: readonly Abi[]
  /** What calls get that no rule is for. */
  readonly otherwise?: Action
}

/** A graph of tests, compiled from its end. Nodes may be shared; compile() emits each once. */
type Node =
  | {readonly kind: 'return'; readonly action: Action}
  | {readonly kind: 'load'; readonly offset: number; readonly next: Node}
  | {readonly kind: 'and'; readonly k: number; readonly next: Node}
  | {
      readonly kind: 'jump'
      readonly code: number
      readonly k: number
      readonly yes: Node
      readonly no: Node
      readonly comment: string
    }

const ALLOW: Node = {kind: 'return', action: {kind: 'allow'}}
/**
 * An architecture that no rule is for (i386 on a kernel for another machine, or one that did not exist when this was
 * written) must not pass unfiltered. ENOSYS and not kill: programs that try a foreign entry point fall back.
 */
const FOREIGN: Node = {kind: 'return', action: {kind: 'errno', errno: ERRNO.ENOSYS}}

export class FilterTooLong extends Error {
  constructor(length: number) {
    super(`the filter needs ${length} instructions; the kernel takes ${MAX_INSTRUCTIONS}`)
    this.name = 'FilterTooLong'
  }
}

const hex = (value: bigint | number): string => `0x${value.toString(16)}`

const SIGNS = {eq: '==', ne: '!=', gt: '>', ge: '>=', lt: '<', le: '<='} as const

/** `arg1 & 0xf000 == 0x2000`, with `int` where only the low half counts. */
export function showComparison({argument, width, mask, operator, value}: Comparison): string {
  const masked = mask === undefined ? '' : ` & ${hex(BigInt.asUintN(width, mask))}`
  const int = width === 32 ? '(int) ' : ''
  return `${int}arg${argument}${masked} ${SIGNS[operator]} ${hex(BigInt.asUintN(width, value))}`
}

const jump = (code: number, k: number, yes: Node, no: Node, comment: string): Node => ({
  kind: 'jump',
  code,
  k,
  yes,
  no,
  comment,
})

/** Loads one half of an argument, masks it, and goes on with the test. */
function half(comparison: Comparison, high: boolean, mask: number, test: Node): Node {
  const offset = DATA.arguments + 8 * comparison.argument + (high ? 4 : 0)
  return {kind: 'load', offset, next: mask === 0xffff_ffff ? test : {kind: 'and', k: mask, next: test}}
}

/** Comparisons are unsigned. On both halves: the high one decides unless it is equal. */
function compare(comparison: Comparison, yes: Node, no: Node, text = showComparison(comparison)): Node {
  const {width, operator} = comparison
  if (operator === 'ne') return compare({...comparison, operator: 'eq'}, no, yes, text)
  if (operator === 'lt') return compare({...comparison, operator: 'ge'}, no, yes, text)
  if (operator === 'le') return compare({...comparison, operator: 'gt'}, no, yes, text)

  const mask = BigInt.asUintN(width, comparison.mask ?? -1n)
  const value = BigInt.asUintN(width, comparison.value)
  const lowMask = Number(BigInt.asUintN(32, mask))
  const lowValue = Number(BigInt.asUintN(32, value))
  const code = operator === 'eq' ? OP.jumpEqual : operator === 'gt' ? OP.jumpGreater : OP.jumpGreaterEqual
  const low =
    operator === 'eq' && lowValue === 0 && lowMask !== 0xffff_ffff
      ? half(comparison, false, 0xffff_ffff, jump(OP.jumpSet, lowMask, no, yes, text))
      : half(comparison, false, lowMask, jump(code, lowValue, yes, no, text))
  if (width === 32) return low

  const highMask = Number(mask >> 32n)
  const highValue = Number(value >> 32n)
  // A high half that the mask clears is 0: known here already.
  if (highMask === 0) return highValue === 0 ? low : no
  const equal = jump(OP.jumpEqual, highValue, low, no, `${text}, high half`)
  if (operator === 'eq') return half(comparison, true, highMask, equal)
  return half(comparison, true, highMask, jump(OP.jumpGreater, highValue, yes, equal, `${text}, high half`))
}

/**
 * A 32-bit ABI has no high halves, but seccomp_data may: 64-bit code that enters by int 0x80 leaves whole registers in
 * it (do_int80_emulation), of which the call itself takes the low halves (SC_IA32_REGS_TO_ARGS). They read as 0 here.
 */
function forAbi(comparison: Comparison, abi: Abi): Comparison {
  if (comparison.width === 32 || ABIS[abi].bits === 64) return comparison
  return {...comparison, mask: (comparison.mask ?? -1n) & 0xffff_ffffn}
}

function conditionNode(condition: Condition, abi: Abi, yes: Node, no: Node): Node {
  return condition.reduceRight<Node>(
    (nextGroup, group) =>
      group.reduceRight<Node>(
        (rest, comparison) => compare(forAbi(comparison, abi), rest, nextGroup, showComparison(comparison)),
        yes,
      ),
    no,
  )
}

/** Map.groupBy came with Node 21. */
function groupBy<K, T>(items: readonly T[], key: (item: T) => K): Map<K, T[]> {
  const groups = new Map<K, T[]>()
  for (const item of items) {
    const group = groups.get(key(item))
    if (group === undefined) groups.set(key(item), [item])
    else group.push(item)
  }
  return groups
}

interface Leaf {
  readonly number: number
  readonly name: string
  readonly node: Node
}

/** A balanced comparison tree over sorted numbers; up to three are compared one after the other. */
function tree(leaves: readonly Leaf[], none: Node): Node {
  if (leaves.length <= 3) {
    return leaves.reduceRight<Node>(
      (rest, {number, name, node}) => jump(OP.jumpEqual, number, node, rest, `${name} (${number & ~X32_SYSCALL_BIT})`),
      none,
    )
  }
  const middle = leaves.length >> 1
  const pivot = leaves[middle]!
  const [left, right] = [tree(leaves.slice(0, middle), none), tree(leaves.slice(middle), none)]
  return jump(OP.jumpGreaterEqual, pivot.number, right, left, `${pivot.name} or above`)
}

function abiNode(abi: Abi, rules: readonly Rule[], otherwise: Node): Node {
  const byNumber = groupBy(rules, (rule) => rule.number >>> 0)
  const leaves = [...byNumber].sort(([a], [b]) => a - b)
  return tree(
    leaves.map(([number, alternatives]) => ({
      number,
      name: alternatives[0]?.name ?? syscallName(abi, number) ?? 'call',
      node: alternatives.reduceRight<Node>((next, {condition, action}) => {
        const yes: Node = {kind: 'return', action}
        return condition === undefined ? yes : conditionNode(condition, abi, yes, next)
      }, otherwise),
    })),
    otherwise,
  )
}

/** Tests of the architecture first, then the number, then arguments. */
function graph(rules: readonly Rule[], abis: readonly Abi[], otherwise: Node): Node {
  const byAbi = groupBy(rules, (rule) => rule.abi)
  const numbers = (abi: Abi): Node => {
    const own = byAbi.get(abi) ?? []
    return own.length === 0 ? otherwise : abiNode(abi, own, otherwise)
  }
  const dispatch = abis
    .filter((abi) => abi !== 'x32')
    .reduceRight<Node>((rest, abi) => {
      let calls = numbers(abi)
      if (abi === 'x86_64' && abis.includes('x32')) {
        const x32 = numbers('x32')
        if (x32 !== calls) calls = jump(OP.jumpSet, X32_SYSCALL_BIT, x32, calls, 'x32 call')
      }
      const next: Node = calls.kind === 'return' ? calls : {kind: 'load', offset: DATA.number, next: calls}
      return jump(OP.jumpEqual, ABIS[abi].auditArch, next, rest, abi === 'x86_64' ? 'x86_64 or x32' : abi)
    }, FOREIGN)
  return {kind: 'load', offset: DATA.arch, next: dispatch}
}

const LOADS: Readonly<Record<number, string>> = {[DATA.number]: 'system call number', [DATA.arch]: 'architecture'}

function loadComment(offset: number): string {
  const halfName = (offset & 4) === 0 ? 'low' : 'high'
  return LOADS[offset] ?? `arg${(offset - DATA.arguments) >> 3}, ${halfName} half`
}

/**
 * Emits the graph from its end, so that every distance is known when a jump is made. Offsets of conditional jumps
 * have 8 bits: farther targets get a JA right behind the jump, or the return itself once more.
 */
class Emitter {
  readonly #reversed: Instruction[] = []
  readonly #places = new Map<Node, number>()
  readonly #returns = new Map<number, number>()

  /** Gives the place of the node's first instruction, counted from the end. */
  place(node: Node): number {
    const known = this.#places.get(node)
    if (known !== undefined) return known
    const place = this.#emit(node)
    this.#places.set(node, place)
    return place
  }

  program(): Instruction[] {
    return this.#reversed.toReversed()
  }

  #push(instruction: Instruction): number {
    return this.#reversed.push(instruction) - 1
  }

  #emit(node: Node): number {
    switch (node.kind) {
      case 'return': {
        const value = actionValue(node.action)
        const place = this.#returns.get(value) ?? this.#push({code: OP.return, jt: 0, jf: 0, k: value})
        this.#returns.set(value, place)
        return place
      }
      case 'load':
        this.#fallInto(this.place(node.next))
        return this.#push({code: OP.loadWord, jt: 0, jf: 0, k: node.offset, comment: loadComment(node.offset)})
      case 'and':
        this.#fallInto(this.place(node.next))
        return this.#push({code: OP.and, jt: 0, jf: 0, k: node.k})
      case 'jump':
        return this.#jump(node)
    }
  }

  #jump(node: Extract<Node, {kind: 'jump'}>): number {
    const far = [this.place(node.no), this.place(node.yes)]
    // Each trampoline moves the jump one further away from the other target: repeat until both are near.
    let [no = 0, yes = 0] = far
    for (let moved = true; moved;) {
      moved = false
      if (this.#distance(no) > 255) [no, moved] = [this.#trampoline(no), true]
      if (this.#distance(yes) > 255) [yes, moved] = [this.#trampoline(yes), true]
    }
    return this.#push({
      code: node.code,
      jt: this.#distance(yes),
      jf: this.#distance(no),
      k: node.k,
      comment: node.comment,
    })
  }

  /** Instructions between the next one to be emitted and `place`. */
  #distance(place: number): number {
    return this.#reversed.length - 1 - place
  }

  #trampoline(place: number): number {
    const target = this.#reversed[place]!
    if (target.code === OP.return) return this.#push(target)
    return this.#push({code: OP.jump, jt: 0, jf: 0, k: this.#distance(place)})
  }

  #fallInto(place: number): void {
    if (this.#distance(place) > 0) this.#trampoline(place)
  }
}

/** Throws FilterTooLong. */
export function compileFilter(rules: readonly Rule[], options: FilterOptions = {}): Program {
  const abis = options.abis ?? MACHINE_ABIS
  const otherwise: Node = options.otherwise === undefined ? ALLOW : {kind: 'return', action: options.otherwise}
  const emitter = new Emitter()
  emitter.place(graph(rules, abis, otherwise))
  const instructions = emitter.program()
  if (instructions.length > MAX_INSTRUCTIONS) throw new FilterTooLong(instructions.length)
  return {instructions, bytes: encode(instructions)}
}
