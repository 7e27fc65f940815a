// The set-up, `npm start` and `npm test` as a person meets them, also on machines that lack something.

import assert from 'node:assert/strict'
import {existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import {join, relative} from 'node:path'

import type {Ended} from '../../helpers/program.js'
import {HELPER, PROJECT, program} from '../../helpers/program.js'
import {skipUnless, skipUnlessRoot} from '../../helpers/skip.js'

const script = (name: string, ...args: string[]): Ended =>
  program(process.execPath, join(PROJECT, 'scripts', name), ...args)

/** Runs a script without a network, in a mount namespace where `commands` have taken more of the machine away. */
const scriptWithout = (commands: string, name: string, ...args: string[]): Ended =>
  program(
    ...(['unshare', '--mount', '--net', '--propagation', 'private', 'sh', '-euc'] as const),
    `${commands}\nexec "$@"`,
    'sh',
    ...[process.execPath, join(PROJECT, 'scripts', name), ...args],
  )

/** /dev/null can't be executed, so a program that it lies over counts as not there. */
const hide = (program: string): string => `mount --bind /dev/null "$(command -v ${program})"`

describe('scripts/setup.mjs', () => {
  it('says so when everything is there, and nothing on stdout', () => {
    script('setup.mjs', 'build')
    assert.deepEqual(script('setup.mjs', 'build'), {
      status: 0,
      signal: null,
      stdout: '',
      stderr: 'Set-up: everything is there.\n',
    })
  })

  it('refuses a purpose that it does not know, and lists those that it knows', () => {
    const {status, stderr} = script('setup.mjs', 'everything')
    assert.equal(status, 1)
    assert.equal(stderr, 'interceptor: cannot set up for `everything`\nhint: name one of build, start, test\n')
  })

  describe('on a machine that lacks something', () => {
    skipUnlessRoot()

    it('names the package, its purpose and the obstacle where there is no apt', () => {
      const {status, stderr} = scriptWithout(`${hide('strace')}; ${hide('apt-get')}`, 'setup.mjs', 'test')
      assert.equal(status, 0)
      assert.match(stderr, /^Not installed: strace \(shows what a program really called\): .* no apt-get/mu)
    })

    it('names the package where there is no network, and goes on', function () {
      this.timeout(120_000)
      // dpkg knows of no package, apt has no list and no cache, and nobody can be asked.
      const lacking = `
        mount -t tmpfs tmpfs /var/lib/apt/lists; mount -t tmpfs tmpfs /var/cache/apt
        : > /var/cache/apt/status; mount --bind /var/cache/apt/status /var/lib/dpkg/status
        ${hide('strace')}`
      const {status, stderr} = scriptWithout(lacking, 'setup.mjs', 'test')
      assert.equal(status, 0, stderr)
      assert.match(stderr, /^ {2}- Debian package strace: /mu)
      assert.match(stderr, /^Not installed: strace .*: apt-get ended with status 100 \(E: /mu)
    })
  })

  describe('without a compiler', () => {
    skipUnlessRoot()
    skipUnless(existsSync(HELPER), 'the native helper is not built')

    it('says that no container can be made', () => {
      const lacking = `${hide('apt-get')}; ${hide('cc')}; mount -t tmpfs tmpfs ${join(PROJECT, 'native', 'build')}`
      const {status, stderr} = scriptWithout(lacking, 'setup.mjs', 'build')
      assert.equal(status, 0, stderr)
      assert.match(stderr, /^The native helper is not built: no cc; /mu)
      const start = scriptWithout(lacking, 'start.mjs')
      assert.equal(start.status, 1)
      assert.match(start.stderr, /^interceptor: cannot start a container: the native helper is not built$/mu)
    })
  })
})

describe('npm start', () => {
  it('leaves a directory alone that it did not make', () => {
    mkdirSync(join(PROJECT, 'node_modules', '.cache'), {recursive: true})
    const foreign = mkdtempSync(join(PROJECT, 'node_modules', '.cache', 'foreign-'))
    const name = relative(PROJECT, foreign)
    try {
      writeFileSync(join(foreign, 'precious'), '')
      const {status, stderr} = script('start.mjs', name)
      assert.equal(status, 1)
      assert.match(
        stderr,
        new RegExp(`^interceptor: cannot replace \\./${name}: .npm start. did not make it\nhint: `, 'mu'),
      )
      assert.ok(existsSync(join(foreign, 'precious')))
    } finally {
      rmSync(foreign, {recursive: true})
    }
  })

  it('refuses a directory outside the project', () => {
    const {status, stderr} = script('start.mjs', '../elsewhere')
    assert.equal(status, 1)
    assert.match(stderr, /^interceptor: cannot make \.\.\/elsewhere: only the project's directory is writable/u)
  })
})

describe('npm test', () => {
  const closing = ({stdout}: Ended): string | undefined => stdout.trimEnd().split('\n').pop()

  it('closes with the counts, and fails where a test failed', () => {
    const ended = script('test.mjs', 'fixtures/failing.test.ts')
    assert.equal(closing(ended), '1 passed, 1 failed, 1 skipped')
    assert.match(ended.stdout, /^Failed:\n {2}test\/fixtures\/failing\.test\.ts: .* fails$/mu)
    assert.equal(ended.status, 1)
  })

  it('succeeds where tests passed', () => {
    const ended = script('test.mjs', 'fixtures', '--grep', 'passes', '--reporter', 'dot')
    assert.equal(closing(ended), '1 passed, 0 failed, 0 skipped')
    assert.equal(ended.status, 0)
  })

  it('runs files apart, so many at once, and counts them all', () => {
    const files = ['unit/kernel/calls.test.ts', 'fixtures/failing.test.ts']
    const ended = script('test.mjs', ...files, '--jobs', '2', '--grep', 'passes|fails')
    assert.equal(closing(ended), '1 passed, 1 failed, 0 skipped')
    const wrong = script('test.mjs', '--jobs', 'many')
    assert.match(wrong.stderr, /^interceptor: --jobs takes a number above 0, not many$/mu)
    assert.equal(wrong.status, 1)
  })

  it('fails where no test was run', () => {
    const ended = script('test.mjs', 'fixtures', '--grep', 'there is none')
    assert.equal(closing(ended), '0 passed, 0 failed, 0 skipped')
    assert.equal(ended.status, 1)
  })

  it('names the folders where one does not exist', () => {
    const {status, stderr} = script('test.mjs', 'units')
    assert.equal(status, 1)
    assert.match(stderr, /^interceptor: cannot find tests units\nhint: .*e2e, hostile, live, cli, unit$/mu)
  })
})
