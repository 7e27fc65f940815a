// Builds the program into dist/: an entry for the main thread and one for the workers. A few files instead of a hundred
// take a third of the time to start away. Packages stay outside; types are the business of `npm run typecheck`.

import {rmSync} from 'node:fs'
import {join} from 'node:path'
import {fileURLToPath} from 'node:url'

import {build} from 'esbuild'

const PROJECT = fileURLToPath(new URL('..', import.meta.url))
/** Every file lies directly in dist/: src/package-files.ts counts on it. */
const OUTPUT = join(PROJECT, 'dist')

const options = {
  absWorkingDir: PROJECT,
  outdir: OUTPUT,
  chunkNames: '[name]-[hash]',
  bundle: true,
  // What is imported on demand stays in files of its own, together with the packages that it needs.
  splitting: true,
  packages: 'external',
  format: 'esm',
  platform: 'node',
  target: 'node20.19',
  // Names stay as they are, so that the stack in a report of a bug can be read.
  minifySyntax: true,
  minifyWhitespace: true,
  charset: 'utf8',
  logLevel: 'warning',
}

rmSync(OUTPUT, {recursive: true, force: true})
// Apart from each other: the two threads share no code at run time, and one file loads faster than shared pieces.
await build({...options, entryPoints: {main: 'src/cli/main.ts'}})
await build({...options, entryPoints: {worker: 'src/intercept/worker.ts'}})
