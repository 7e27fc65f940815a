// Types of what other programs import: dist/types holds what the two entries of src/api need, and nothing else.

import {spawnSync} from 'node:child_process'
import {readFileSync, readdirSync, rmSync} from 'node:fs'
import {dirname, join, resolve} from 'node:path'

import {PROJECT, SetupError, main} from './setup.mjs'

const TYPES = join(PROJECT, 'dist', 'types')
const ENTRIES = ['handler', 'index'].map((name) => join(TYPES, 'api', `${name}.d.ts`))

await main(async () => {
  rmSync(TYPES, {recursive: true, force: true})
  const tsc = join(PROJECT, 'node_modules', 'typescript', 'bin', 'tsc')
  const {status} = spawnSync(process.execPath, [tsc, '-p', 'tsconfig.types.json'], {
    cwd: PROJECT,
    stdio: ['ignore', 2, 2],
  })
  if (status !== 0) throw new SetupError('cannot make the types of the package')
  const needed = new Set()
  for (const entry of ENTRIES) follow(entry, needed)
  for (const {name, parentPath} of readdirSync(TYPES, {recursive: true, withFileTypes: true})) {
    const file = join(parentPath, name)
    if (name.endsWith('.d.ts') && !needed.has(file)) rmSync(file)
  }
})

/** The compiler writes a file for each source that it reads, whether a type of it is used or not. */
function follow(file, needed) {
  if (needed.has(file)) return
  needed.add(file)
  for (const [, path] of readFileSync(file, 'utf8').matchAll(/(?:from|import\() ?'(\.[^']+)\.js'/g))
    follow(resolve(dirname(file), `${path}.d.ts`), needed)
}
