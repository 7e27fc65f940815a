// Which flags would have a refused call performed, tried out with the real filter and policy, and the fewest for many.

import type {Abi, AnyFamily} from '../intercept/family.js'
import type {Judge, Judgement} from './judge.js'
import type {ParsedCall} from './strace-notation.js'

/** A flag with its value, as words of a command line. */
export type FlagWords = readonly string[]

export interface Adviser {
  readonly families: readonly AnyFamily[]
  /** The judge as configured, with these flags added; undefined where they are no valid flags. */
  readonly withFlags: (flags: readonly FlagWords[]) => Judge | undefined
}

export interface Advised extends Judgement {
  /** Flags that would have it performed; empty where it is not refused, or where nothing helps. */
  readonly advice: readonly FlagWords[]
}

/** Flags that lead to further ones: a family, then what it allows, a file system and its source. */
const ROUNDS = 5

/** Calls that every process may make: without their family the kernel answers them, if only about the host. */
const ANSWERED_NATIVELY: ReadonlySet<string> = new Set([
  ...['sysinfo', 'getxattr', 'lgetxattr', 'fgetxattr', 'getxattrat'],
  ...['listxattr', 'llistxattr', 'flistxattr', 'listxattrat', 'close', 'umount2', 'umount'],
])

const EPERM = 1

/** Hints are worded `--flag value would allow it`. */
export function flagsOfHint(hint: string | undefined): readonly FlagWords[] {
  const words = /^(--.+?) would allow \w/.exec(hint ?? '')?.[1]?.split(' ') ?? []
  const flags: string[][] = []
  for (const word of words) {
    if (word.startsWith('--')) flags.push([word])
    else flags.at(-1)?.push(word)
  }
  return flags
}

export function adviseCall(call: ParsedCall, abi: Abi, adviser: Adviser): Advised {
  const now = adviser.withFlags([])
  if (now === undefined) throw new Error('the policy as configured is not valid')
  const judgement = now.judge(call, abi)
  if (judgement.outcome === 'refused') {
    const start = judgement.by === 'policy' ? [] : familyFlags(call, abi, adviser)
    const found = follow(call, abi, adviser, start ?? [])
    return {...judgement, advice: found?.judgement.outcome === 'performed' ? found.flags : []}
  }
  if (judgement.outcome !== 'kernel') return {...judgement, advice: []}
  return natively(call, abi, adviser, judgement)
}

/** A call that only a family which is off would take from the kernel, is one that the kernel refuses a container. */
function natively(call: ParsedCall, abi: Abi, adviser: Adviser, judgement: Judgement): Advised {
  const start = familyFlags(call, abi, adviser)
  if (start === undefined) return {...judgement, advice: []}
  const found = follow(call, abi, adviser, start)
  if (found?.judgement.outcome === 'unknown') return {...judgement, ...found.judgement, advice: []}
  const performed = found?.judgement.outcome === 'performed'
  const family = found?.judgement.family
  if (
    ANSWERED_NATIVELY.has(call.name) ||
    found === undefined ||
    !(performed || found.judgement.outcome === 'refused')
  ) {
    return {...judgement, family, advice: performed ? found.flags : []}
  }
  return {
    ...judgement,
    outcome: 'refused',
    by: 'kernel',
    errno: EPERM,
    family,
    reason: 'it never leaves the kernel, which refuses it to a container',
    advice: performed ? found.flags : [],
  }
}

/** The flag of a family that is off and would see this call. */
function familyFlags(call: ParsedCall, abi: Abi, {families, withFlags}: Adviser): readonly FlagWords[] | undefined {
  for (const {name, flag} of families) {
    for (const words of [[flag], [flag, 'NAME']]) {
      const judge = withFlags([words])
      if (judge === undefined) continue
      if (!judge.composition.calls.has(call.name)) break
      const {outcome, family} = judge.judge(call, abi)
      if (outcome === 'unknown' || (family === name && outcome !== 'kernel')) return [words]
      break
    }
  }
  return undefined
}

interface Found {
  readonly flags: readonly FlagWords[]
  readonly judgement: Judgement
}

/** Adds what the hints say until the call is no longer refused. `flags` is empty where that does not come. */
function follow(call: ParsedCall, abi: Abi, {withFlags}: Adviser, start: readonly FlagWords[]): Found | undefined {
  let flags = start
  let last: Judgement | undefined
  for (let round = 0; round < ROUNDS; round++) {
    const judgement = withFlags(flags)?.judge(call, abi)
    if (judgement === undefined) break
    last = judgement
    if (judgement.outcome === 'performed') {
      return {flags: fewestFlags([{call, abi, advice: flags}], {withFlags}), judgement}
    }
    if (judgement.outcome !== 'refused') return {flags, judgement}
    const more = flagsOfHint(judgement.hint).filter((words) => !flags.some((known) => same(known, words)))
    if (more.length === 0) break
    flags = [...flags, ...more]
  }
  return last === undefined ? undefined : {flags: [], judgement: last}
}

const same = (a: FlagWords, b: FlagWords): boolean => a.join(' ') === b.join(' ')

export interface Need {
  readonly call: ParsedCall
  readonly abi: Abi
  readonly advice: readonly FlagWords[]
}

/** The union of all advice, without what the rest implies: each flag is left out once and every call judged again. */
export function fewestFlags(needs: readonly Need[], {withFlags}: Pick<Adviser, 'withFlags'>): readonly FlagWords[] {
  const wanted = needs.filter(({advice}) => advice.length > 0)
  let flags = wanted
    .flatMap(({advice}) => advice)
    .filter((words, index, all) => all.findIndex((other) => same(other, words)) === index)
  const enough = (tried: readonly FlagWords[]): boolean => {
    const judge = withFlags(tried)
    return judge !== undefined && wanted.every(({call, abi}) => judge.judge(call, abi).outcome === 'performed')
  }
  for (const words of [...flags].sort((a, b) => a.length - b.length)) {
    const without = flags.filter((other) => !same(other, words))
    if (enough(without)) flags = without
  }
  return flags
}
