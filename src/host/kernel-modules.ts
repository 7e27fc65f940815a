// What this kernel can load: which modules lie ready for it, and which file systems it has or could have.

import {existsSync, readFileSync, readdirSync} from 'node:fs'

/** Where the kernel and the distribution tell of them; a test has others. */
export interface KernelPlaces {
  readonly fileSystems: string
  /** Only there where the kernel is built with modules; 1 where loading is switched off for good. */
  readonly modulesDisabled: string
  /** The directory of the running kernel's modules. */
  readonly library: string
}

export function thisKernel(): KernelPlaces {
  return {
    fileSystems: '/proc/filesystems',
    modulesDisabled: '/proc/sys/kernel/modules_disabled',
    library: `/lib/modules/${readText('/proc/sys/kernel/osrelease')?.trim() ?? ''}`,
  }
}

/** unknown: it is not there now, and whether it could be loaded is not to be seen from here. */
export type Presence = 'absent' | 'module' | 'present' | 'unknown'

/** Whether the kernel has a type of file system, or loads it when it is mounted. */
export function presenceOf(type: string, places = thisKernel()): Presence {
  // What follows the point is the business of the program that serves it: fuse.sshfs.
  const own = /^fuse(?:blk)?(?=\.)/.exec(type)?.[0] ?? type
  if (knownFileSystems(places).includes(own)) return 'present'
  const disabled = readText(places.modulesDisabled)?.trim()
  if (disabled !== '0') return 'absent'
  // Inside a container that has no modules of the host, the kernel still loads them by the host's modprobe.
  if (!existsSync(`${places.library}/modules.dep`)) return 'unknown'
  // request_module("fs-%s") of fs/filesystems.c: the alias counts, and a module may serve several types.
  const aliases = readText(`${places.library}/modules.alias`) ?? ''
  const isServed = aliases.split('\n').some((line) => line.startsWith(`alias fs-${own} `))
  return isServed || hasModule(own, places) ? 'module' : 'absent'
}

export function knownFileSystems({fileSystems} = thisKernel()): readonly string[] {
  const lines = readText(fileSystems)?.split('\n') ?? []
  return lines.map((line) => line.split('\t')[1] ?? '').filter((type) => type !== '')
}

/** A file of it lies ready, or the kernel has it built in. */
export function hasModule(name: string, {library} = thisKernel()): boolean {
  const wanted = name.replaceAll('-', '_')
  return moduleLists(library).some((text) =>
    text.split('\n').some((line) => {
      const file = line.split(':')[0]?.split('/').at(-1) ?? ''
      return file.replace(/\.ko(\.\w+)?$/, '').replaceAll('-', '_') === wanted
    }),
  )
}

function moduleLists(library: string): readonly string[] {
  try {
    return readdirSync(library)
      .filter((file) => file === 'modules.dep' || file === 'modules.builtin')
      .map((file) => readText(`${library}/${file}`) ?? '')
  } catch {
    return []
  }
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return undefined
  }
}
