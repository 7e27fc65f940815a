// What was found out about one thing: plain data, which src/render shows.

export interface Finding {
  /** A word or two: `user namespaces`. */
  readonly name: string
  /** limited: works with less than one could have. */
  readonly state: 'good' | 'limited' | 'missing'
  readonly text: string
  /** What would mend it, each one line; empty where nothing is to be done. */
  readonly advice: readonly string[]
  /** Flags that were asked for and can't work for this reason. */
  readonly lacking?: readonly string[]
}

export interface FamilyFinding extends Finding {
  readonly flag: string
  readonly asked: boolean
  /** Which of the family's strategies will serve here. */
  readonly strategy: string | undefined
}

/** One thing to find out. They are done one after the other. */
export interface Task {
  readonly title: string
  readonly find: () => Promise<readonly Finding[]> | readonly Finding[]
}

export function good(name: string, text: string): Finding {
  return {name, state: 'good', text, advice: []}
}

export function limited(name: string, text: string, ...advice: readonly string[]): Finding {
  return {name, state: 'limited', text, advice}
}

export function missing(name: string, text: string, ...advice: readonly string[]): Finding {
  return {name, state: 'missing', text, advice}
}
