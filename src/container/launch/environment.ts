// The environment of the command: what was inherited, with what is different in the container.

/** Value of a variable; undefined where it is not set. */
export function variable(environment: readonly Buffer[], name: string): Buffer | undefined {
  const prefix = Buffer.from(`${name}=`)
  return environment.findLast((entry) => entry.subarray(0, prefix.length).equals(prefix))?.subarray(prefix.length)
}

export interface EnvironmentOptions {
  readonly inherited: Buffer | undefined
  readonly hasRootfs: boolean
  readonly uid: number
  readonly pwd: Buffer
}

/**
 * PWD is the working directory. HOME, unless the command line set it, is one that root of the container can use: the
 * inherited one names a home of the host, which the container does not see or can't write.
 */
export function commandEnvironment(environment: readonly Buffer[], options: EnvironmentOptions): readonly Buffer[] {
  const {inherited, hasRootfs, uid, pwd} = options
  const home = variable(environment, 'HOME')
  const isInherited = home === undefined || (inherited !== undefined && home.equals(inherited))
  const kept = environment.filter((entry) => !isNamed(entry, 'PWD') && !(isInherited && isNamed(entry, 'HOME')))
  const own = hasRootfs && uid === 0 ? '/root' : '/tmp'
  return [...kept, Buffer.concat([Buffer.from('PWD='), pwd]), ...(isInherited ? [Buffer.from(`HOME=${own}`)] : [])]
}

function isNamed(entry: Buffer, name: string): boolean {
  return entry.subarray(0, name.length + 1).equals(Buffer.from(`${name}=`))
}
