// Directories that are gone after the suite. /var/tmp and not /tmp: a container has a /tmp of its own.

import {mkdtempSync, rmSync} from 'node:fs'

/** In a describe callback: gives a function that makes empty directories, which are removed after the suite. */
export function temporaryDirectories(): () => string {
  const made: string[] = []
  after(() => {
    for (const directory of made.splice(0)) rmSync(directory, {recursive: true, force: true})
  })
  return () => {
    const directory = mkdtempSync('/var/tmp/interceptor-test-')
    made.push(directory)
    return directory
  }
}
