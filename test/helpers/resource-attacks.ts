// What a container or its surroundings can leave too little of: depth, readers, descriptors. For suites of root and of
// ordinary users.

import assert from 'node:assert/strict'
import {spawn} from 'node:child_process'
import {once} from 'node:events'
import {closeSync, constants, existsSync, openSync, writeSync} from 'node:fs'
import {join} from 'node:path'

import {INTERCEPTOR, PROJECT, programIn, succeed} from './program.js'

const {O_NONBLOCK, O_RDWR} = constants

const DEEP = `
import os, sys
for level in range(int(sys.argv[1])):
    os.mkdir('d')
    os.chdir('d')
open('bottom', 'w').close()
`

/** In a describe callback. */
export function itExportsDeepTrees(makeDirectory: () => string): void {
  /** With so few descriptors that one for each directory would not do. */
  const exportDeep = (cwd: string, depth: number) => {
    try {
      const run = [process.execPath, INTERCEPTOR, 'run', '--export', 'x.tar', '--export-root', 'tree', '--']
      const script = ['sh', '-euc', `mkdir tree; cd tree; python3 -c "$0" ${depth}`, DEEP]
      return programIn({cwd}, 'sh', '-c', 'ulimit -n 160; exec "$@"', 'sh', ...run, ...script)
    } finally {
      // Node can't remove it.
      succeed({cwd}, 'rm', '-rf', 'tree')
    }
  }

  it('writes a tree to an archive that is deeper than any path', () => {
    const cwd = makeDirectory()
    const {status, stderr} = exportDeep(cwd, 3000)
    assert.equal(status, 0, stderr)
    const count = "tar -tf x.tar | awk '{ n++; if (length > m) m = length } END { print n, m }'"
    assert.equal(succeed({cwd}, 'sh', '-euc', count), `3002 ${'./'.length + 2 * 3000 + 'bottom'.length}\n`)
  })

  it('names a tree that is too deep for an archive, in one line', () => {
    const cwd = makeDirectory()
    const {status, stderr} = exportDeep(cwd, 9000)
    assert.equal(status, 125)
    assert.match(
      stderr,
      /^interceptor: cannot export \.\/d\/[^ ]{0,300}: its path is longer than 16384 bytes\nhint: .*\n$/u,
    )
    assert.ok(!existsSync(join(cwd, 'x.tar')))
  })
}

/** In a describe callback. */
export function itEndsUnread(makeDirectory: () => string): void {
  /** Runs a command that has something logged; the log is full already, and nobody reads it. */
  const endUnread = async (words: readonly string[], stderr: (fifo: number) => number | 'pipe') => {
    const cwd = makeDirectory()
    succeed({cwd}, 'mkfifo', 'log')
    const fifo = openSync(join(cwd, 'log'), O_RDWR | O_NONBLOCK)
    try {
      assert.throws(() => {
        for (;;) writeSync(fifo, Buffer.alloc(4096))
      }, /EAGAIN/u)
      const script = 'echo ready; mknod x b 8 0; exec sleep 300'
      const child = spawn(process.execPath, [INTERCEPTOR, 'run', '--mknod', ...words, '--', 'sh', '-c', script], {
        cwd,
        stdio: ['ignore', 'pipe', stderr(openSync(join(cwd, 'log'), constants.O_WRONLY))],
      })
      let said = ''
      child.stderr?.on('data', (bytes: Buffer) => (said += bytes.toString()))
      assert.ok(child.stdout !== null)
      assert.equal(String((await once(child.stdout, 'data'))[0]), 'ready\n')
      child.kill('SIGTERM')
      await once(child, 'close')
      return {signal: child.signalCode, said}
    } finally {
      closeSync(fifo)
    }
  }

  it('ends with SIGTERM where nobody reads standard error', async () => {
    const {signal} = await endUnread([], (fifo) => fifo)
    assert.equal(signal, 'SIGTERM')
  })

  it('ends with SIGTERM where nobody reads the log, and says so', async () => {
    const {signal, said} = await endUnread(['--log-file', 'log'], (fifo) => {
      closeSync(fifo)
      return 'pipe'
    })
    assert.equal(signal, 'SIGTERM')
    assert.match(said, /^interceptor: the log is not complete: nobody reads it$/mu)
  })
}

/** In a describe callback. */
export function itNamesTheLimitOfOpenFiles(makeDirectory: () => string): void {
  it('names the limit of open files where it is too low', () => {
    const cwd = makeDirectory()
    for (const limit of [24, 26, 28, 30]) {
      const words = ['sh', `${limit}`, process.execPath, INTERCEPTOR, 'run', '--mknod', '--', 'true']
      const {status, stderr} = programIn({cwd}, 'sh', '-c', 'ulimit -n "$1"; shift; exec "$@"', ...words)
      assert.equal(status, 125, stderr)
      assert.match(stderr, /too many open files\nhint: allow interceptor more open files: ulimit -n 1024\n$/u)
      assert.doesNotMatch(stderr, /internal error|^ +at /mu)
      assert.ok(!stderr.includes(PROJECT))
    }
  })
}
