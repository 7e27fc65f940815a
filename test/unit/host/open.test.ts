import assert from 'node:assert/strict'
import {closeSync, fstatSync, mkdirSync, openSync, statSync, symlinkSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'

import {UsageError} from '../../../src/errors.js'
import {LinkInTheWay, openHostPath, openNamed} from '../../../src/host/open.js'
import {temporaryDirectories} from '../../helpers/temporary.js'

describe('openHostPath', () => {
  const temporary = temporaryDirectories()

  /** Inode of what is found. */
  function found(path: string): number {
    const fd = openHostPath(Buffer.from(path))
    try {
      return fstatSync(fd).ino
    } finally {
      closeSync(fd)
    }
  }

  it('finds what a path without links leads to, however it is written', () => {
    const top = temporary()
    mkdirSync(join(top, 'd/e'), {recursive: true})
    writeFileSync(join(top, 'd/file'), '')
    const inode = statSync(join(top, 'd/file')).ino
    for (const rest of ['d/file', './d//file', 'd/e/../file', 'd/../d/./file']) {
      assert.equal(found(`${top}/${rest}`), inode, rest)
    }
    assert.equal(found('/'), statSync('/').ino)
    assert.equal(found('/../../etc'), statSync('/etc').ino)
  })

  it('follows links in the directories of the system', () => {
    for (const path of ['/bin/sh', '/proc/self/root/etc', '/etc/mtab', '/var/run', '/dev/fd']) {
      assert.equal(found(path), statSync(path).ino, path)
    }
  })

  it('opens a descriptor by its name, whatever it is of', () => {
    const top = temporary()
    writeFileSync(join(top, 'file'), '')
    const fd = openSync(join(top, 'file'), 'r')
    try {
      assert.equal(found(`/dev/fd/${fd}`), fstatSync(fd).ino)
    } finally {
      closeSync(fd)
    }
  })

  it('stops at every other link: the last component, one above it, behind .. and behind a magic link', () => {
    const top = temporary()
    for (const name of ['d', 'real']) mkdirSync(join(top, name))
    writeFileSync(join(top, 'real/file'), '')
    symlinkSync('../real/file', join(top, 'd/file'))
    symlinkSync('real', join(top, 'link'))
    symlinkSync('/etc', join(top, 'system'))
    const fd = openSync(join(top, 'd'), 'r')
    try {
      const ways = ['d/file', 'link', 'link/file', 'link/../real/file', 'd/../link/file', 'system/passwd']
      for (const path of [...ways.map((rest) => `${top}/${rest}`), `/proc/self/fd/${fd}/file`]) {
        assert.throws(() => found(path), LinkInTheWay, path)
      }
    } finally {
      closeSync(fd)
    }
  })

  it('has the errno of the kernel for what is not there', () => {
    assert.throws(() => found('/nothing/here'), {code: 'ENOENT'})
    assert.throws(() => found('/etc/passwd/x'), {code: 'ENOTDIR'})
  })

  it('leaves no descriptor behind', () => {
    const top = temporary()
    symlinkSync('x', join(top, 'link'))
    const next = (): number => {
      const fd = openSync('/', 'r')
      closeSync(fd)
      return fd
    }
    const before = next()
    for (const path of ['/bin/sh', '/nothing/x', `${top}/link`, '/proc/self/cwd']) {
      try {
        found(path)
      } catch {
        // Only descriptors are looked at here.
      }
    }
    assert.equal(next(), before)
  })
})

describe('openNamed', () => {
  const temporary = temporaryDirectories()

  it('names the flag and the link, and the next step', () => {
    const link = join(temporary(), 'link')
    symlinkSync('/etc', link)
    assert.throws(
      () => openNamed('mount-source', Buffer.from(`${link}/passwd`)),
      (error) =>
        error instanceof UsageError &&
        error.message ===
          `cannot use --mount-source ${link}/passwd: ${link} is a symbolic link, and a container may have made it` &&
        error.hints[0]?.includes(`readlink -f ${link}`) === true,
    )
    const missing = {message: 'cannot use --bind /nothing: there is nothing of that name'}
    assert.throws(() => openNamed('bind', Buffer.from('/nothing')), missing)
  })
})
