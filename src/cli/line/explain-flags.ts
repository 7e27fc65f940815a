// Tries flags out for explain: the policy as given, with more flags than were typed.

import {UsageError} from '../../errors.js'
import type {Adviser} from '../../explain/advise.js'
import {Judge} from '../../explain/judge.js'
import {Composition} from '../../intercept/composition.js'
import type {CompositionRequest} from '../../intercept/composition.js'
import {FAMILIES} from '../../intercept/families/index.js'
import type {FlagHint} from '../../intercept/hint.js'
import type {CallerFacts} from '../../intercept/family.js'
import type {Policy} from '../../intercept/policy.js'
import type {FlagValues} from '../../flag.js'
import {flagsOf} from '../flags/index.js'
import {toPolicy} from './policy.js'

/** What a judgement depends on beside flags. */
export interface JudgedUnder extends Pick<CompositionRequest, 'denied' | 'rootless'> {
  /** Root of the container, when left out. */
  readonly caller?: CallerFacts
}

/** Combinations that are kept, so that a file of calls with ever new advice needs bounded memory. */
const KEPT_MAX = 256

export function adviserFor(values: FlagValues, options: JudgedUnder, loaded?: Policy): Adviser {
  const judges = new Map<string, Judge | undefined>()
  return {
    families: FAMILIES,
    withFlags(flags) {
      const key = JSON.stringify(flags)
      if (judges.has(key)) return judges.get(key)
      const judge = judgeWith(values, flags, options, loaded)
      if (judges.size >= KEPT_MAX) judges.clear()
      judges.set(key, judge)
      return judge
    },
  }
}

function judgeWith(
  values: FlagValues,
  flags: readonly FlagHint[],
  {caller, ...request}: JudgedUnder,
  loaded: Policy | undefined,
): Judge | undefined {
  const merged = withWords(values, flags)
  if (merged === undefined) return undefined
  try {
    return new Judge(new Composition({policy: toPolicy(merged, loaded), ...request}), caller)
  } catch (error) {
    // What was typed is checked before anything is tried out.
    if (error instanceof UsageError && flags.length > 0) return undefined
    throw error
  }
}

/** Undefined where they are no flags that explain has. */
function withWords(values: FlagValues, flags: readonly FlagHint[]): FlagValues | undefined {
  const known = flagsOf('explain')
  let merged = values
  for (const {flag: typed, value} of flags) {
    const flag = known.find(({name}) => `--${name}` === typed)
    if (flag === undefined || (flag.kind === 'switch') !== (value === undefined)) return undefined
    const given = merged[flag.name]
    const added = flag.kind === 'list' ? [...(typeof given === 'object' ? given : []), value!] : (value ?? true)
    merged = {...merged, [flag.name]: added}
  }
  return merged
}
