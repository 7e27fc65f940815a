// Writes the manual pages, the shell completions and the schema of configuration files, which come from the tables that the
// program itself uses.

import {mkdirSync, readdirSync, rmSync, writeFileSync} from 'node:fs'
import {dirname, join} from 'node:path'
import {fileURLToPath} from 'node:url'

import {build} from 'esbuild'

const PROJECT = fileURLToPath(new URL('..', import.meta.url))
/** One level below the package, see src/package-files.ts, and not among what is shipped. */
const PROGRAM = join(PROJECT, 'dist', '.documents.mjs')

await build({
  absWorkingDir: PROJECT,
  entryPoints: ['src/manual/documents.ts'],
  outfile: PROGRAM,
  bundle: true,
  packages: 'external',
  format: 'esm',
  platform: 'node',
  target: 'node20.19',
  logLevel: 'warning',
})
const {documents} = await import(PROGRAM)
const texts = documents()
rmSync(PROGRAM)
// A command that is gone leaves no page behind.
for (const name of readdirSync(join(PROJECT, 'man'))) if (/\.[1-8]$/u.test(name)) rmSync(join(PROJECT, 'man', name))
for (const [name, text] of Object.entries(texts)) {
  mkdirSync(dirname(join(PROJECT, name)), {recursive: true})
  writeFileSync(join(PROJECT, name), text)
}
