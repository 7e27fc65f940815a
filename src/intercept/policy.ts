// What a container may have done for it, and what every family says of its part: families/NAME/policy.ts. Pure.

import type {Flag, FlagValues, ListFlag, SwitchFlag} from '../flag.js'
import type {Device} from '../kernel/device-numbers.js'

/**
 * By name of the family, its part; a family is on exactly when it has one. Plain data: it crosses to the workers by
 * structured clone, and is written as JSON.
 */
export type Policy = Readonly<Record<string, unknown>>

/** What flags are read with beside their texts. */
export interface PolicyContext {
  /** The device whose node is at a path of the host; undefined where something else is. Throws where nothing is. */
  readonly deviceAt: (path: string) => Device | undefined
  /** Paths of block devices that the container gets anyway (--device). */
  readonly blockDevices: () => readonly string[]
  /** A path of the host, absolute. */
  readonly absolute: (path: string) => string
}

/** Keys of LXD and Incus that say the same as flags. */
export interface LxdKeys {
  /** The family is on where this one is: by `words.on`, or as LXD reads a switch. */
  readonly switch: {
    readonly key: string
    readonly flag?: SwitchFlag
    readonly words?: {readonly on: string; readonly off: string}
  }
  /** They count while the family is on. Items of a list are separated by commas. */
  readonly others?: readonly {readonly key: string; readonly flag: ListFlag | SwitchFlag}[]
  /** Where the family is off, the person is told that the others were passed over. */
  readonly tellsWhenOff?: boolean
}

export interface PolicyDeclaration<P> {
  /** In the order of the help. The first one switches the family on; none where it is on with any other family. */
  readonly flags: readonly Flag[]
  readonly lxd?: LxdKeys
  /** Undefined where no flag switches it on. Throws UsageError. */
  fromFlags(values: FlagValues, context: PolicyContext): P | undefined
  /** What `asked` allows and `given` does not, each as words for a person; empty where there is nothing. */
  beyond(asked: P, given: P): readonly string[]
}

/** The texts of `asked` that are not in `given`. */
export function missing(asked: readonly string[], given: readonly string[]): readonly string[] {
  return asked.filter((each) => !given.includes(each))
}
