// What figures need of the machine, each with the word that is said where it is missing.

import {accessSync, constants, existsSync} from 'node:fs'
import {join} from 'node:path'

import type {Need} from './figure.js'

export const root: Need = () => (process.getuid?.() === 0 ? undefined : 'needs root')

/** The first thing that is missing. */
export function missing(needs: readonly Need[]): string | undefined {
  for (const need of needs) {
    const reason = need()
    if (reason !== undefined) return reason
  }
  return undefined
}

/** For a file system of one's own, see subjects/file-systems.ts. */
export const ownFileSystem: readonly Need[] = [
  root,
  program('mkfs.ext4', 'e2fsprogs'),
  () => (existsSync('/dev/loop-control') ? undefined : 'needs loop devices'),
]

/** Along PATH and where Debian keeps the administrator's programs. */
export function program(name: string, debianPackage = name): Need {
  return () => (findProgram(name) === undefined ? `needs ${name} (Debian package ${debianPackage})` : undefined)
}

export function findProgram(name: string): string | undefined {
  const directories = [...(process.env['PATH'] ?? '').split(':'), '/usr/local/sbin', '/usr/sbin', '/sbin']
  return directories
    .filter((directory) => directory.startsWith('/'))
    .map((directory) => join(directory, name))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK)
        return true
      } catch {
        return false
      }
    })
}
