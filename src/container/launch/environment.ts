// The environment of the command: what was inherited, with what is different in the container.

import {withAdministration} from '../../host/programs.js'

/** Value of a variable; undefined where it is not set. */
export function variable(environment: readonly Buffer[], name: string): Buffer | undefined {
  const prefix = Buffer.from(`${name}=`)
  return environment.findLast((entry) => entry.subarray(0, prefix.length).equals(prefix))?.subarray(prefix.length)
}

export interface EnvironmentOptions {
  /** What interceptor itself was started with: a variable of the same value is not the command line's. */
  readonly inherited: NodeJS.ProcessEnv
  readonly hasRootfs: boolean
  /** Of the command, in the container. */
  readonly uid: number
  readonly pwd: Buffer
}

/**
 * PWD is the working directory. HOME and PATH, unless the command line set them, are ones that suit the command: the
 * inherited HOME names a home of the host, which the container does not see or cannot write, and the PATH of an ordinary
 * user may lack the directories where root finds debootstrap or chroot.
 */
export function commandEnvironment(environment: readonly Buffer[], options: EnvironmentOptions): readonly Buffer[] {
  const {inherited, hasRootfs, uid, pwd} = options
  const isInherited = (name: string) => {
    const value = variable(environment, name)
    // Node has both as UTF-8, in which other bytes become U+FFFD.
    return value === undefined || value.toString() === inherited[name]
  }
  const changed = new Map([['PWD', pwd]])
  if (isInherited('HOME')) changed.set('HOME', Buffer.from(hasRootfs && uid === 0 ? '/root' : '/tmp'))
  const path = variable(environment, 'PATH')
  if (uid === 0 && path !== undefined && isInherited('PATH')) {
    changed.set('PATH', Buffer.from(withAdministration(path.toString('latin1')), 'latin1'))
  }
  const kept = environment.filter((entry) => ![...changed.keys()].some((name) => isNamed(entry, name)))
  return [...kept, ...[...changed].map(([name, value]) => Buffer.concat([Buffer.from(`${name}=`), value]))]
}

function isNamed(entry: Buffer, name: string): boolean {
  return entry.subarray(0, name.length + 1).equals(Buffer.from(`${name}=`))
}
