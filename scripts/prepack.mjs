// `npm pack`: builds everything that the tarball holds, so that whoever installs it needs no compiler and no install
// script: the program, the helper for both processors, manual, completion, and the exact versions of what it needs.
//
//   node scripts/prepack.mjs          before packing
//   node scripts/prepack.mjs after    after packing

import {spawnSync} from 'node:child_process'
import {readFileSync, rmSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'

import {PROJECT, SetupError, findFile, main, say} from './setup.mjs'

/**
 * Only in the tarball: beside package-lock.json, npm would take it for the versions of development. npm reads it when the
 * package comes from a registry; in a tarball it is bundleDependencies that fixes them.
 */
const SHRINKWRAP = join(PROJECT, 'npm-shrinkwrap.json')
const COMPILERS = {
  'x86_64-linux-gnu-gcc': 'gcc-x86-64-linux-gnu, or gcc on such a machine',
  'aarch64-linux-gnu-gcc': 'gcc-aarch64-linux-gnu and libc6-dev-arm64-cross, or gcc on such a machine',
}

await main(async () => {
  rmSync(SHRINKWRAP, {force: true})
  if (process.argv[2] === 'after') return
  for (const [compiler, packages] of Object.entries(COMPILERS)) {
    if (findFile(compiler) === undefined) {
      throw new SetupError(`cannot build the helper: no ${compiler}\nhint: install the Debian packages ${packages}`)
    }
  }
  // The helper first: the program is run once when it is built.
  run('make', ['-s', '-C', 'native', 'prebuilds'])
  run('npm', ['run', '--silent', 'build:program'])
  run('npm', ['run', '--silent', 'build:types'])
  run('npm', ['run', '--silent', 'build:documents'])
  writeFileSync(SHRINKWRAP, `${JSON.stringify(shrinkwrap(), null, 2)}\n`)
})

/** The lock file without what only development needs. */
function shrinkwrap() {
  const read = (name) => JSON.parse(readFileSync(join(PROJECT, name), 'utf8'))
  const {packages, ...rest} = read('package-lock.json')
  const {devDependencies: _development, ...own} = packages['']
  const shipped = Object.entries(packages).filter(([path, entry]) => path !== '' && !entry.dev && !entry.devOptional)
  return {...rest, packages: {'': own, ...Object.fromEntries(shipped)}}
}

/** npm prints the name of the tarball on stdout, and nothing else belongs there. */
function run(program, words) {
  const {status, error} = spawnSync(program, words, {cwd: PROJECT, stdio: ['ignore', 2, 2]})
  if (error !== undefined) say(error.message)
  if (status !== 0) throw new SetupError(`cannot build what is packed: ${program} ${words.join(' ')} failed`)
}
