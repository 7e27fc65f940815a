// Which flags would have a refused call performed, tried out with the real filter and policy, and the fewest for many.

import type {AnyFamily} from '../intercept/family.js'
import {isFlagHint, sameFlag, wordsOf} from '../intercept/hint.js'
import type {FlagHint} from '../intercept/hint.js'
import type {Abi} from '../kernel/abi.js'
import {ERRNO} from '../kernel/errno.js'
import type {Judge, Judgement} from './judge.js'
import type {ParsedCall} from './strace-notation.js'

export interface Adviser {
  readonly families: readonly AnyFamily[]
  /** The judge as configured, with these flags added; undefined where they are no valid flags. */
  readonly withFlags: (flags: readonly FlagHint[]) => Judge | undefined
}

export interface Advised extends Judgement {
  /** Flags that would have it performed; empty where it is not refused, or where nothing helps. */
  readonly advice: readonly FlagHint[]
}

/** Flags that lead to further ones: a family, then what it allows, a file system and its source. */
const ROUNDS = 5

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
  if (found === undefined || found.judgement.worksNatively || !(performed || found.judgement.outcome === 'refused')) {
    return {...judgement, family, advice: performed ? found.flags : []}
  }
  return {
    ...judgement,
    outcome: 'refused',
    by: 'kernel',
    errno: ERRNO.EPERM,
    family,
    reason: 'not intercepted; in a container the kernel answers EPERM',
    advice: performed ? found.flags : [],
  }
}

/** The flag of a family that is off and would see this call. */
function familyFlags(call: ParsedCall, abi: Abi, {families, withFlags}: Adviser): readonly FlagHint[] | undefined {
  for (const {name, flag} of families) {
    for (const hint of [{flag}, {flag, value: 'NAME'}]) {
      const judge = withFlags([hint])
      if (judge === undefined) continue
      if (!judge.composition.calls.has(call.name)) break
      const {outcome, family} = judge.judge(call, abi)
      if (outcome === 'unknown' || (family === name && outcome !== 'kernel')) return [hint]
      break
    }
  }
  return undefined
}

interface Found {
  readonly flags: readonly FlagHint[]
  readonly judgement: Judgement
}

/** Adds what the hints say until the call is no longer refused. `flags` is empty where that does not come. */
function follow(call: ParsedCall, abi: Abi, {withFlags}: Adviser, start: readonly FlagHint[]): Found | undefined {
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
    const {hint} = judgement
    if (hint === undefined || !isFlagHint(hint) || flags.some((known) => sameFlag(known, hint))) break
    flags = [...flags, hint]
  }
  return last === undefined ? undefined : {flags: [], judgement: last}
}

export interface Need {
  readonly call: ParsedCall
  readonly abi: Abi
  readonly advice: readonly FlagHint[]
}

/** The union of all advice, without what the rest implies: each flag is left out once and every call judged again. */
export function fewestFlags(needs: readonly Need[], {withFlags}: Pick<Adviser, 'withFlags'>): readonly FlagHint[] {
  const wanted = needs.filter(({advice}) => advice.length > 0)
  let flags = wanted
    .flatMap(({advice}) => advice)
    .filter((flag, index, all) => all.findIndex((other) => sameFlag(other, flag)) === index)
  const enough = (tried: readonly FlagHint[]): boolean => {
    const judge = withFlags(tried)
    return judge !== undefined && wanted.every(({call, abi}) => judge.judge(call, abi).outcome === 'performed')
  }
  // Switches first: a flag with a value switches its family on as well.
  for (const flag of [...flags].sort((a, b) => wordsOf(a).length - wordsOf(b).length)) {
    const without = flags.filter((other) => !sameFlag(other, flag))
    if (enough(without)) flags = without
  }
  return flags
}
