// The style of the code base as a test: what the linter can't see.

import assert from 'node:assert/strict'
import {readFileSync, readdirSync} from 'node:fs'
import {dirname, join} from 'node:path'

import {PROJECT} from '../helpers/program.js'

/** Every file that is not ignored, as git has it: folders by their paths in the project, and endings of names. */
function filesOfProject(): readonly string[] {
  const ignored = readFileSync(join(PROJECT, '.gitignore'), 'utf8').trim().split('\n')
  const folders = ['/.git/', ...ignored.filter((line) => line.endsWith('/'))]
  const patterns = ignored.filter((line) => !line.endsWith('/')).map((line) => toPattern(line))
  const below = (folder: string): readonly string[] =>
    readdirSync(join(PROJECT, folder), {withFileTypes: true}).flatMap((entry) => {
      const name = join(folder, entry.name)
      if (entry.isDirectory()) return folders.includes(`/${name}/`) ? [] : below(name)
      return entry.isFile() && !patterns.some((pattern) => pattern.test(`/${name}`)) ? [name] : []
    })
  return below('')
}

/** Of gitignore(5) what the project uses. */
function toPattern(line: string): RegExp {
  const text = line.replaceAll('.', '\\.').replaceAll('*', '[^/]*')
  return new RegExp(`${line.startsWith('/') ? '^' : '/'}${text}$`, 'u')
}

const text = (name: string): string => readFileSync(join(PROJECT, name), 'utf8')
const names = filesOfProject()
const code = names.filter((name) => /\.(ts|mjs|js|c|h)$/u.test(name) && !name.startsWith('native/build/'))

describe('the code base', () => {
  it('keeps every file of code at 400 lines or fewer', () => {
    // Tables are data that a generator writes; nobody reads them from top to bottom.
    const long = code.filter((name) => !name.startsWith('src/kernel/calls/') && text(name).split('\n').length > 401)
    assert.deepEqual(long, [])
  })

  it('begins every file with a comment that says what it is for', () => {
    // A test file is for the file that it is named after.
    const described = code.filter((name) => name !== 'bin/run.js' && !name.endsWith('.test.ts'))
    const silent = described.filter((name) => !/^(#!.*\n)?(\/\/ \S|\/\*)/u.test(text(name)))
    assert.deepEqual(silent, [])
  })

  it('names no directory of one machine', () => {
    // Wherever the clone lies, that place must not be told of, unless it is one that every machine has.
    const parent = `${dirname(PROJECT)}/`
    const everywhere = ['/', '/home/', '/opt/', '/root/', '/srv/', '/tmp/', '/usr/local/', '/usr/src/', '/var/tmp/']
    const told = names
      .filter((name) => name !== 'package-lock.json' && !everywhere.includes(parent))
      .filter((name) => text(name).includes(parent))
    assert.deepEqual(told, [])
  })

  it('writes each number of the kernel down once', async () => {
    const files = names.filter((name) => /^src\/kernel\/.*\.ts$/u.test(name) && !name.startsWith('src/kernel/calls/'))
    const modules = await Promise.all(files.map((name): Promise<object> => import(join(PROJECT, name))))
    const known = new Set(modules.flatMap(Object.keys).filter((name) => /^[A-Z]+_[A-Z0-9_]+$/u.test(name)))
    assert.ok(known.size > 200)
    const again = names
      .filter((name) => /^src\/.*\.ts$/u.test(name) && !name.startsWith('src/kernel/'))
      .flatMap((name) =>
        [...text(name).matchAll(/^(?:export )?const ([A-Z]\w+)(?:: \w+)? = /gmu)]
          .filter(([, constant = '']) => known.has(constant))
          .map(([, constant = '']) => `${name}: ${constant}`),
      )
    assert.deepEqual(again, [])
  })

  it('has no test that runs alone', () => {
    const alone = names.filter((name) => name.endsWith('.test.ts') && /\b(describe|it)\.only\(/u.test(text(name)))
    assert.deepEqual(alone, [])
  })

  it('starts no program in a unit test', () => {
    const starts =
      /from 'node:child_process'|ffi\/spawn\.js'|\{[^}]*\b(interceptor(In)?|program(In)?|succeed)\b[^}]*\} from '.*helpers\/program\.js'/u
    const isUnitTest = (name: string) => name.startsWith('test/unit/') && name !== 'test/unit/tidy.test.ts'
    assert.deepEqual(
      names.filter((name) => isUnitTest(name) && starts.test(text(name))),
      [],
    )
  })

  it('has tests named after every family of system calls', () => {
    const tests = names.filter((name) => /^test\/(unit|live|hostile)\/.*\.test\.ts$/u.test(name))
    const isOf = (family: string, name: string) => stem(name) === family || name.includes(`/families/${family}/`)
    assert.deepEqual(
      familyFolders().filter((family) => !tests.some((name) => isOf(family, name))),
      [],
    )
  })

  it('lists every family, sorted', () => {
    const imported = [...text('src/intercept/families/index.ts').matchAll(/from '\.\/([^/]+)\/index\.js'/gu)]
    const listed = imported.map(([, name]) => name)
    assert.ok(listed.length > 5)
    assert.deepEqual(listed, familyFolders())
  })
})

/** The folders that hold a family each, sorted. */
function familyFolders(): readonly string[] {
  const folders = names.flatMap((name) => /^src\/intercept\/families\/([^/]+)\//u.exec(name)?.[1] ?? [])
  return [...new Set(folders)].sort()
}

/** The name of a file without its folder and endings. */
function stem(name: string): string {
  return (name.split('/').pop() ?? '').replace(/(\.user)?\.test\.ts$/u, '').replace(/\..*$/u, '')
}
