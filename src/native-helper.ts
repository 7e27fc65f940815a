// Where the native helper is: built beside the sources, or shipped for this kind of processor.

import {existsSync} from 'node:fs'
import {fileURLToPath} from 'node:url'

import {UnavailableError} from './errors.js'
import {packageFile} from './package-files.js'

/** The native helper of this package. */
export function helperPath(): string {
  const built = fileURLToPath(packageFile('native/build/interceptor-init'))
  const shipped = fileURLToPath(packageFile(`prebuilds/linux-${process.arch}/interceptor-init`))
  const found = [built, shipped].find((path) => existsSync(path))
  if (found !== undefined) return found
  throw new UnavailableError(`cannot find the native helper: ${built} does not exist`, {
    hints: ['Build it: npm run build'],
  })
}
