// What `check` has to find out and has found, and what families report of this machine: plain data, which src/render shows.

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
export interface CheckTask {
  readonly title: string
  readonly find: () => Promise<readonly Finding[]> | readonly Finding[]
}

export interface CheckPlan {
  readonly rootless: boolean
  readonly tasks: readonly CheckTask[]
}

/** What was found, in the order in which it is told. */
export interface CheckResult {
  readonly rootless: boolean
  readonly findings: readonly Finding[]
  readonly families: readonly FamilyFinding[]
  /** Flags that were asked for and can't work; of a family, its own flag. */
  readonly lacking: readonly string[]
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

/** What a policy asks for that cannot work here, whatever the container does. */
export interface Unsupported {
  /** The flags that ask for it, as they are typed. */
  readonly flags: string
  readonly text: string
  readonly advice: readonly string[]
}

export const ONLY_ROOT = 'start interceptor as root of the host'

/** What is known of this machine before a family is asked. */
export interface CheckCircumstances {
  readonly rootless: boolean
  /** A cgroup hierarchy of version 2 is mounted. */
  readonly hasUnifiedHierarchy: boolean
  /** A container that made one device node; without a strategy it made none, for the reason of `failure`. */
  readonly trial: {readonly strategy: string | undefined; readonly failure: string; readonly hints: readonly string[]}
}

/** Which of its strategies a family would serve with here. */
export interface Service extends Pick<Finding, 'advice' | 'state' | 'text'> {
  /** Left out: its first one. null: none. */
  readonly strategy?: string | null
  /** What it rests on, in lines of their own. */
  readonly findings?: readonly Finding[]
}

export function serves(strategy?: string, text = ''): Service {
  return {...(strategy !== undefined && {strategy}), state: 'good', text, advice: []}
}

export function cannotServe(text: string, ...advice: readonly string[]): Service {
  return {strategy: null, state: 'missing', text, advice}
}
