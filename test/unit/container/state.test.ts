import assert from 'node:assert/strict'
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import {join} from 'node:path'

import {LaunchError, UsageError} from '../../../src/errors.js'
import {
  checkName,
  findRun,
  generateName,
  identify,
  listRuns,
  NAME_PATTERN,
  stateDirectory,
  StateRecord,
  temporaryStateDirectory,
} from '../../../src/container/state.js'
import {makeFifo} from '../../helpers/fifo.js'
import {skipTestUnless} from '../../helpers/skip.js'
import {temporaryDirectories} from '../../helpers/temporary.js'

const DETAILS = {policy: {}, rootless: false}

describe('StateRecord', () => {
  const temporary = temporaryDirectories()
  const fresh = (): string => join(temporary(), 'runs')

  it('keeps others out', () => {
    const directory = fresh()
    StateRecord.claim(directory, 'a', DETAILS)
    assert.equal(statSync(directory).mode & 0o777, 0o700)
    assert.equal(statSync(join(directory, 'a.json')).mode & 0o777, 0o600)
  })

  it('is found by name and by pid until it is released', () => {
    const directory = fresh()
    const record = StateRecord.claim(directory, 'a', DETAILS)
    record.update({init: identify(process.ppid)!, cgroups: ['/sys/fs/cgroup/x'], control: {deep: [1]}})
    for (const key of ['a', String(process.pid), String(process.ppid)])
      assert.deepEqual(findRun(directory, key), record.state)
    assert.deepEqual(record.state.control, {deep: [1]})
    record.release()
    assert.deepEqual(listRuns(directory), [])
    assert.deepEqual(readdirSync(directory), [])
  })

  it('does not give a name that a live run has', () => {
    const directory = fresh()
    StateRecord.claim(directory, 'a', DETAILS)
    assert.throws(
      () => StateRecord.claim(directory, 'a', DETAILS),
      (error) =>
        error instanceof LaunchError && error.message.includes('cannot use the name a: a running container has it'),
    )
    assert.deepEqual(readdirSync(directory), ['a.json'])
  })

  it('says what is running where a name is not', () => {
    const directory = fresh()
    assert.throws(() => findRun(directory, 'b'), UsageError)
    StateRecord.claim(directory, 'a', DETAILS)
    assert.throws(
      () => findRun(directory, 'b'),
      (error) => error instanceof UsageError && error.hints.join().includes('running: a'),
    )
  })

  it('gives each run a name', () => {
    const directory = fresh()
    const names = [1, 2, 3].map(() => StateRecord.claim(directory, undefined, DETAILS).state.name)
    assert.deepEqual(
      listRuns(directory)
        .map((run) => run.name)
        .toSorted(),
      names.toSorted(),
    )
  })

  it('takes the name of a dead run, also where its pid is another process now', () => {
    const directory = fresh()
    const record = StateRecord.claim(directory, 'a', DETAILS)
    const file = join(directory, 'a.json')
    const dead = {...record.state, supervisor: {pid: process.pid, startTime: '1'}}
    writeFileSync(file, JSON.stringify(dead))
    const again = StateRecord.claim(directory, 'a', DETAILS)
    assert.deepEqual(listRuns(directory), [again.state])
  })

  it('leaves the record of another run alone when it is released', () => {
    const directory = fresh()
    const record = StateRecord.claim(directory, 'a', DETAILS)
    const file = join(directory, 'a.json')
    writeFileSync(file, JSON.stringify({...record.state, supervisor: identify(1)}))
    record.release()
    assert.equal(existsSync(file), true)
  })

  it('keeps what another pid namespace has', () => {
    const directory = fresh()
    const record = StateRecord.claim(directory, 'a', DETAILS)
    const other = {...record.state, pidNamespace: 'pid:[1]', supervisor: {pid: 4_194_303, startTime: '1'}}
    writeFileSync(join(directory, 'a.json'), JSON.stringify(other))
    assert.deepEqual(listRuns(directory), [other])
  })

  it('passes over what is no record of ours', () => {
    const directory = fresh()
    const record = StateRecord.claim(directory, 'a', DETAILS)
    symlinkSync(join(directory, 'a.json'), join(directory, 'b.json'))
    makeFifo(join(directory, 'c.json'))
    writeFileSync(join(directory, 'd.json'), '{')
    writeFileSync(join(directory, 'e.json'), readFileSync(join(directory, 'a.json')))
    writeFileSync(join(directory, 'f.json'), JSON.stringify({...record.state, name: '../a'}))
    assert.deepEqual(listRuns(directory), [record.state])
  })

  it('refuses a directory that others can use', () => {
    const directory = fresh()
    mkdirSync(directory)
    for (const mode of [0o777, 0o710, 0o701]) {
      chmodSync(directory, mode)
      assert.throws(() => StateRecord.claim(directory, 'a', DETAILS), /other users have rights to it/)
      assert.throws(() => listRuns(directory), /other users have rights to it/)
    }
  })

  it('refuses a link in place of the directory', () => {
    const directory = fresh()
    symlinkSync(temporary(), directory)
    assert.throws(() => StateRecord.claim(directory, 'a', DETAILS), /it is not a directory/)
  })
})

describe('names', () => {
  it('are letters, digits, dots, dashes and underscores', () => {
    for (const name of ['a', 'A.b-c_9', 'x'.repeat(64)]) assert.equal(checkName(name), name)
    for (const name of ['', '.a', '-a', 'a/b', '../a', 'a b', 'ä', 'a\n', 'x'.repeat(65)])
      assert.throws(() => checkName(name), UsageError, name)
  })

  it('are made up well-formed', () => {
    assert.match(generateName(), NAME_PATTERN)
  })
})

describe('stateDirectory', () => {
  // The usual name may be taken on this machine.
  const IN_TMP = /^\/tmp\/interceptor-12345(?:$|\.)/u
  const temporary = temporaryDirectories()

  it("is root's or the user's own", () => {
    const own = temporary()
    // Root of a namespace, as an ordinary user is in a container, may not write to /run.
    const expected = process.geteuid?.() === 0 ? /^\/run\/interceptor$/u : /^\/tmp\/interceptor-0(?:$|\.)/u
    assert.match(stateDirectory({uid: 0, runtimeDirectory: '/does/not/exist'}), expected)
    assert.equal(stateDirectory({uid: 12_345, runtimeDirectory: own}), `${own}/interceptor`)
    for (const runtimeDirectory of ['tmp', '/does/not/exist'])
      assert.match(stateDirectory({uid: 12_345, runtimeDirectory}), IN_TMP)
  })

  it("is not another user's", () => {
    const other = process.geteuid?.() === 0 ? temporary() : '/root'
    if (other !== '/root') chownSync(other, 12_345, 12_345)
    assert.match(stateDirectory({uid: 12_345, runtimeDirectory: other}), IN_TMP)
  })
})

describe('temporaryStateDirectory', () => {
  const temporary = temporaryDirectories()
  const uid = 12_345

  it('is the usual one, also before it is there', () => {
    const top = temporary()
    const usual = join(top, 'interceptor-12345')
    assert.equal(temporaryStateDirectory(top, uid), usual)
    StateRecord.claim(usual, 'a', DETAILS)
    assert.equal(temporaryStateDirectory(top, uid), usual)
  })

  it('is another one, the same for each run, where the name is taken, and stays so when it is free again', () => {
    const top = temporary()
    const usual = join(top, 'interceptor-12345')
    // A link: nobody but root can make a directory that belongs to another user.
    symlinkSync('/tmp', usual)
    symlinkSync('/tmp', `${usual}.0`)
    const first = temporaryStateDirectory(top, uid)
    assert.match(first.slice(usual.length), /^\.[\da-f]{16}$/u)
    StateRecord.claim(first, 'a', DETAILS)
    assert.equal(temporaryStateDirectory(top, uid), first)
    assert.deepEqual(
      listRuns(temporaryStateDirectory(top, uid)).map(({name}) => name),
      ['a'],
    )
    rmSync(usual)
    assert.equal(temporaryStateDirectory(top, uid), first)
  })

  it("is not another user's", function () {
    skipTestUnless(this, process.geteuid?.() === 0, 'only root can make it')
    const top = temporary()
    mkdirSync(join(top, 'interceptor-12345'))
    chownSync(join(top, 'interceptor-12345'), 54_321, 54_321)
    assert.notEqual(temporaryStateDirectory(top, uid), join(top, 'interceptor-12345'))
  })
})
