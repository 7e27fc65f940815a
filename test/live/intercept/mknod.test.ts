// Device nodes in real containers: made, opened, refused, and where paths lead.

import assert from 'node:assert/strict'
import {execFileSync} from 'node:child_process'
import {chmodSync, mkdirSync, readFileSync, statSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'

import {hintText} from '../../../src/intercept/hint.js'
import type {FilesystemStep} from '../../../src/container/plan.js'
import {NULL, ZERO, answersIn, callsInContainers} from '../../helpers/file-calls.js'
import {buildTestProgram} from '../../helpers/intercepted.js'
import {bytes} from '../../helpers/launch-plan.js'
import {skipUnlessPrivileged, skipUnlessPrograms} from '../../helpers/skip.js'
import {temporaryDirectories} from '../../helpers/temporary.js'

const [EPERM, ENOENT, EACCES, EEXIST, ENOTDIR, EROFS, ENAMETOOLONG, ELOOP] = [-1, -2, -13, -17, -20, -30, -36, -40]
const CAP_MKNOD = 27
const CAP_DAC_OVERRIDE = 1
const CLONE_NEWUSER = 0x10000000
const CLONE_FS = 0x200

describe('mknod in a container', function () {
  this.timeout(120_000)
  skipUnlessPrivileged()
  skipUnlessPrograms('cc')
  const makeDirectory = temporaryDirectories()
  const {inContainer, expects} = callsInContainers(makeDirectory)

  describe('on a file system of the host', () => {
    it('makes real nodes, relative, absolute, in subdirectories and beside a descriptor', async () => {
      const {decisions, directory} = await expects([
        ['umask:0', 0],
        ['mkdir:sub', 0],
        ['chmod:sub:0755', 0],
        [`mknod:one:${NULL}`, 0],
        [`mknod:/mnt/two:${NULL}`, 0],
        [`mknod:sub/three:${ZERO}`, 0],
        [`mknod:./sub/../sub//four:${ZERO}`, 0],
        ['dirfd:sub', 0],
        [`mknodat:five:${NULL}`, 0],
        [`mknodat:../six:${NULL}`, 0],
        [`mknodat:/mnt/seven:${NULL}`, 0],
        ['stat:one', '20666 0:0 1:3 1 0'],
        ['stat:sub/three', '20640 0:0 1:5 1 0'],
        ['use:one:w', 1],
        ['use:sub/four:r', 1],
        ['use:sub/five:w', 1],
        ['use:six:w', 1],
        ['use:seven:w', 1],
        ['unlink:one', 0],
        ['stat:one', ENOENT],
      ])
      assert.deepEqual([...new Set(decisions.map(({strategy}) => strategy))], ['node'])
      const {mode, uid, rdev} = statSync(join(directory, 'six'))
      // Idmapped: what container root makes is root's on disk.
      assert.deepEqual({mode, uid, rdev}, {mode: 0o020_666, uid: 0, rdev: 0x103})
      assert.deepEqual(
        decisions.map(({created}) => created?.path.toString()),
        ['one', 'two', 'sub/three', 'sub/four', 'sub/five', 'six', 'seven'].map((name) => `/mnt/${name}`),
      )
    })

    it('makes them for the older call too', async function () {
      if (process.arch !== 'x64') this.skip()
      const {decisions} = await expects([
        [`oldmknod:n:${NULL}`, 0],
        ['use:n:w', 1],
      ])
      assert.equal(decisions[0]?.syscall, 'mknod')
    })

    it('never opens what it makes', async () => {
      // 5:1 would be the host's console, and a terminal may hang up or change when it is opened.
      const {decisions} = await expects([
        ['mknod:console:020600:5:1', 0],
        ['mknod:tty:020666:5:0', 0],
        ['mknod:ptmx:020666:5:2', 0],
      ])
      assert.deepEqual(
        decisions.map(({strategy}) => strategy),
        ['node', 'node', 'node'],
      )
    })

    it('keeps to the umask of the caller', async () => {
      await expects([
        ['umask:077', 0],
        [`mknod:n:${NULL}`, 0],
        ['stat:n', '20600 0:0 1:3 1 0'],
      ])
    })

    it('gives the group of a setgid directory', async () => {
      await expects([
        ['umask:0', 0],
        ['mkdir:d:0755', 0],
        ['chown:d:0:77', 0],
        ['chmod:d:02775', 0],
        [`mknod:d/n:${NULL}`, 0],
        ['stat:d/n', '20666 0:77 1:3 1 0'],
      ])
    })

    it('B6: goes by the supplementary groups and fs ids of the caller', async () => {
      const asUser = [
        ['fsids:1000:1000', 0],
        [`raise:${CAP_MKNOD}`, 0],
      ] as const
      const directory = [
        ['umask:0', 0],
        ['chmod:/mnt:0755', 0],
        ['mkdir:d:0755', 0],
        ['chown:d:5:77', 0],
        ['chmod:d:0770', 0],
      ] as const
      await expects([...directory, ...asUser, [`mknod:d/n:${NULL}`, EACCES]])
      await expects([
        ...directory,
        ['groups:77', 0],
        ...asUser,
        [`mknod:d/n:${NULL}`, 0],
        ['stat:d/n', '20666 1000:1000 1:3 1 0'],
      ])
    })

    it('lets DAC capabilities help a caller that holds them, and no other', async () => {
      const directory = [
        ['mkdir:d:0755', 0],
        ['chmod:d:0700', 0],
        ['chown:d:1000:1000', 0],
      ] as const
      await expects([...directory, [`mknod:d/n:${NULL}`, 0]])
      await expects([...directory, [`drop:${CAP_DAC_OVERRIDE}`, 0], [`mknod:d/n:${NULL}`, EACCES]])
    })

    it('does not let them reach a directory of the host', async () => {
      const outside = makeDirectory()
      mkdirSync(join(outside, 'open'))
      chmodSync(outside, 0o755)
      const step: FilesystemStep = {
        kind: 'bind',
        source: bytes(outside),
        target: bytes('/media'),
        idmap: false,
        recursive: false,
        flags: {},
      }
      const {answers, decisions} = await inContainer([`mknod:/media/n:${NULL}`, `mknod:/media/open/n:${NULL}`], {
        steps: [step],
      })
      assert.deepEqual(answers, [String(EACCES), String(EACCES)])
      assert.ok(decisions.every(({outcome}) => outcome === 'failed'))
      assert.throws(() => statSync(join(outside, 'n')), {code: 'ENOENT'})
    })
  })

  describe('refusing', () => {
    it('names the device that is not allowlisted', async () => {
      const {decisions} = await expects([
        ['mknod:sda:060660:8:0', EPERM],
        ['mknod:mem:020640:1:1', EPERM],
        ['stat:sda', ENOENT],
      ])
      assert.deepEqual(
        decisions.map(({outcome, reason, hint}) => [outcome, reason, hint && hintText(hint)]),
        [
          ['refused', 'block 8:0 is not allowlisted', '--mknod-allow b:8:0 would allow it'],
          ['refused', 'character 1:1 is not allowlisted', '--mknod-allow c:1:1 would allow it'],
        ],
      )
    })

    it('gives the errno that the kernel finds before it asks for permission', async () => {
      const long = 'x'.repeat(256)
      const {decisions} = await expects([
        [`mknod:file:0100644:0:0`, 0],
        ['mknod:file:020666:9:9', EEXIST],
        ['mknod:file/n:020666:9:9', ENOTDIR],
        ['mknod:none/n:020666:9:9', ENOENT],
        ['mknod:none/:020666:9:9', ENOENT],
        ['mknod:.:020666:9:9', EEXIST],
        [`mknod:${long}:020666:9:9`, ENAMETOOLONG],
        ['mknod:/usr/n:020666:9:9', EROFS],
        ['mknod:/usr/bin:020666:9:9', EEXIST],
        ['mknod:n:020666:9:9', EPERM],
        ['stat:n', ENOENT],
      ])
      const outcomes = decisions.map(({outcome}) => outcome)
      assert.deepEqual(outcomes, [...Array<string>(8).fill('failed'), 'refused'])
      // The same for a caller that lacks the capability: may_create() comes before capable().
      await expects([
        ['mkdir:d:0755', 0],
        ['chmod:/mnt:0755', 0],
        ['ids:1000:1000', 0],
        [`mknod:d:${NULL}`, EEXIST],
        [`mknod:none/n:${NULL}`, ENOENT],
        [`mknod:d/n:${NULL}`, EACCES],
      ])
    })

    it('asks for CAP_MKNOD', async () => {
      const {decisions} = await expects([
        ['chmod:/mnt:0777', 0],
        ['ids:1000:1000', 0],
        [`mknod:n:${NULL}`, EPERM],
      ])
      assert.equal(decisions[0]?.reason, 'the caller lacks CAP_MKNOD')
    })

    it('leaves a nested user namespace to the kernel', async () => {
      const {decisions} = await expects([
        [`unshare:${CLONE_NEWUSER}`, 0],
        [`mknod:n:${NULL}`, EPERM],
      ])
      assert.equal(decisions[0]?.outcome, 'continued')
    })

    it('does not see whiteouts, FIFOs and files', async () => {
      const {decisions} = await expects([
        ['mknod:whiteout:020000:0:0', 0],
        ['mknod:fifo:010644:0:0', 0],
        ['mknod:file:0100644:0:0', 0],
      ])
      assert.deepEqual(decisions, [])
    })
  })

  describe('where paths lead', () => {
    it('has the errors that the kernel has for root', async () => {
      const words = [
        'create:file:0644',
        'mkdir:dir:0755',
        'symlink:nowhere:dangling',
        'symlink:loop1:loop2',
        'symlink:loop2:loop1',
        `mknod:made:${NULL}`,
        ...[
          'file',
          'file/',
          'dir',
          'dir/',
          'dangling',
          'dangling/',
          'made',
          'made/',
          'missing/',
          'missing/n',
          'file/n',
          'dangling/n',
          'loop1',
          'loop1/n',
          '.',
          '..',
          'dir/.',
          'dir/..',
          '/',
          '',
          'x'.repeat(255),
          'x'.repeat(256),
          `${'d/'.repeat(2047)}nn`,
          `${'d/'.repeat(2047)}n`,
        ].map((path) => `mknod:${path}:${NULL}`),
      ]
      const {answers, directory} = await inContainer(words)
      const native = makeDirectory()
      const program = buildTestProgram('file-calls', native).replace('/mnt', native)
      const expected = answersIn(execFileSync(program, words, {cwd: native, encoding: 'utf8'}))
      assert.deepEqual(
        words.map((word, index) => [word, answers[index]]),
        words.map((word, index) => [word, expected[index]]),
      )
      for (const errno of [ENOENT, EEXIST, ENOTDIR, ENAMETOOLONG, ELOOP]) assert.ok(expected.includes(String(errno)))
      assert.ok(statSync(join(directory, 'file')).isFile())
    })

    it('says of a read-only file system that it is one', async () => {
      await expects([
        [`mknod:/etc/n:${NULL}`, EROFS],
        [`mknod:/etc/passwd:${NULL}`, EEXIST],
        ['symlink:/etc:etc', 0],
        [`mknod:etc/n:${NULL}`, EROFS],
      ])
    })

    it('goes by where they lead, not by how they are spelt', async () => {
      const {decisions} = await expects([
        [`mknod:/dev/../mnt/n:${NULL}`, 0],
        ['use:/mnt/n:w', 1],
        ['symlink:/mnt:link', 0],
        [`mknod:link/link/m:${NULL}`, 0],
        ['use:m:w', 1],
      ])
      assert.deepEqual(
        decisions.map(({created}) => created?.path.toString()),
        ['/mnt/n', '/mnt/m'],
      )
    })

    it('stays below the root of the caller', async () => {
      const {decisions} = await expects([
        ['mkdir:jail:0755', 0],
        ['mkdir:jail/dev:0755', 0],
        ['symlink:/dev:jail/link', 0],
        ['chroot:jail', 0],
        [`mknod:/dev/one:${NULL}`, 0],
        [`mknod:/../../dev/two:${NULL}`, 0],
        [`mknod:/link/three:${NULL}`, 0],
        ['chdir:/', 0],
        [`mknod:../four:${NULL}`, 0],
        ['use:/dev/one:w', 1],
        ['use:/dev/two:w', 1],
        ['use:/dev/three:w', 1],
        ['use:/four:w', 1],
      ])
      assert.deepEqual(
        decisions.map(({created}) => created?.path.toString()),
        ['dev/one', 'dev/two', 'dev/three', 'four'].map((path) => `/mnt/jail/${path}`),
      )
    })

    it('follows a thread that has its own working directory and umask', async () => {
      await expects([
        ['mkdir:d:0755', 0],
        ['thread', 0],
        [`unshare:${CLONE_FS}`, 0],
        ['chdir:d', 0],
        ['umask:07', 0],
        [`mknod:n:${NULL}`, 0],
        ['stat:/mnt/d/n', '20660 0:0 1:3 1 0'],
        ['use:/mnt/d/n:w', 1],
      ])
    })

    it('leaves an existing file as it is', async () => {
      const {answers, directory} = await inContainer([`mknod:file:${NULL}`, `mknod:/tmp/../mnt/file:${NULL}`], {
        prepare: (made) => writeFileSync(join(made, 'file'), 'contents'),
      })
      assert.deepEqual(answers, [String(EEXIST), String(EEXIST)])
      assert.equal(readFileSync(join(directory, 'file'), 'utf8'), 'contents')
    })
  })
})
