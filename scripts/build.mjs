// Builds the program into dist/: a bundle for the main thread and one for the workers, and beside each the code that V8
// makes of it. Packages stay outside; types are the business of `npm run typecheck`.

import {spawnSync} from 'node:child_process'
import {mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {fileURLToPath} from 'node:url'

import {build} from 'esbuild'

const PROJECT = fileURLToPath(new URL('..', import.meta.url))
/** Every file lies directly in dist/: src/package-files.ts counts on it. */
const OUTPUT = join(PROJECT, 'dist')

rmSync(OUTPUT, {recursive: true, force: true})
await build({
  absWorkingDir: PROJECT,
  outdir: OUTPUT,
  // Apart from each other: the two threads share no code at run time.
  entryPoints: {main: 'src/cli/main.ts', worker: 'src/intercept/worker.ts'},
  bundle: true,
  packages: 'external',
  // One file each, whose modules begin when they are first imported. bin/load.js calls the function that it is.
  format: 'cjs',
  banner: {
    js: '(function(exports,require,module,__filename,__import){const __bundle={get url(){return `file://${encodeURI(__filename).replace(/[?#]/g,encodeURIComponent)}`}};',
  },
  footer: {js: '})'},
  define: {'import.meta.url': '__bundle.url'},
  platform: 'node',
  target: 'node20.19',
  // Names stay as they are, so that the stack in a report of a bug can be read.
  minifySyntax: true,
  minifyWhitespace: true,
  charset: 'ascii',
  logLevel: 'warning',
})
for (const name of ['main', 'worker']) {
  const file = join(OUTPUT, `${name}.js`)
  const text = readFileSync(file, 'utf8').replaceAll(/\bawait import\(/g, 'await __import(')
  if (/\bimport\((?!\$\{)/.test(text)) throw new Error(`${file} has an import() that is not awaited at once`)
  // eslint-disable-next-line no-control-regex
  if (/[^\x00-\x7f]/.test(text)) throw new Error(`${file} is not ASCII`)
  writeFileSync(file, text)
}

// What a run compiles is kept. In a directory of its own, which the container may write to; where no container can be
// made the program starts slower, and is no other.
const directory = mkdtempSync(join(tmpdir(), 'interceptor-build-'))
try {
  const {NODE_OPTIONS: _flags, ...env} = process.env
  const words = [join(PROJECT, 'scripts', 'warm.cjs'), 'run', '--quiet', '--no-config', '--mknod', '--', 'true']
  spawnSync(process.execPath, words, {cwd: directory, env, stdio: 'ignore', timeout: 30_000})
} finally {
  rmSync(directory, {recursive: true, force: true})
}
