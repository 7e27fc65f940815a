// What figures need of the machine, each with the word that is said where it is missing.

import {accessSync, constants} from 'node:fs'
import {join} from 'node:path'

import type {Need} from './figure.js'

export const root: Need = () => (process.getuid?.() === 0 ? undefined : 'needs root')

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
