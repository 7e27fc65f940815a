// Recorded trees of hosts in the place of the real one.

import {cpSync, mkdirSync, writeFileSync} from 'node:fs'
import {dirname, join} from 'node:path'
import {fileURLToPath} from 'node:url'

import type {CgroupHost} from '../../src/container/cgroup/tree.js'

export function fixture(name: string): string {
  return fileURLToPath(new URL(`../fixtures/${name}`, import.meta.url))
}

/** A host of which `pid` is the supervisor; it may write what lies below `writable`, by default everything. */
export function recordedHost(name: string, pid: number, writable: readonly string[] = ['']): CgroupHost {
  const root = fixture(name)
  const roots = writable.map((path) => (path === '' ? root : `${root}/sys/fs/cgroup${path}`))
  return {root, pid, mayWrite: (path) => roots.some((each) => path === each || path.startsWith(`${each}/`))}
}

/** A copy of a recorded tree in `directory`, with some files changed; returns its /sys/fs/cgroup. */
export function changedTree(directory: string, name: string, files: Readonly<Record<string, string>>): string {
  cpSync(join(fixture(name), 'sys'), join(directory, 'sys'), {recursive: true})
  const top = join(directory, 'sys/fs/cgroup')
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(top, path)), {recursive: true})
    writeFileSync(join(top, path), `${text}\n`)
  }
  return top
}
