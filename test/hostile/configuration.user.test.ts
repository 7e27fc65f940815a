import assert from 'node:assert/strict'
import {mkdirSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'

import {interceptorIn} from '../helpers/program.js'
import {skipUnlessPrograms, skipUnlessRootless} from '../helpers/skip.js'
import {temporaryDirectories} from '../helpers/temporary.js'

describe('a configuration file that a container left', function () {
  this.timeout(60_000)
  skipUnlessRootless()
  skipUnlessPrograms('newuidmap')
  const temporary = temporaryDirectories()

  /** A directory where a container wrote `text` as the configuration of the next run, below a home. */
  function after(text: string) {
    const home = temporary()
    const cwd = join(home, 'work')
    mkdirSync(cwd)
    const run = (...words: string[]) => interceptorIn({cwd, env: {HOME: home, XDG_STATE_HOME: undefined}}, ...words)
    const left = run(
      'run',
      '-q',
      '--',
      'sh',
      '-c',
      'mkdir data; : >data/doc; printf %s "$1" >.interceptorrc',
      'sh',
      text,
    )
    assert.equal(left.status, 0, left.stderr)
    return {home, cwd, run}
  }

  it('turns nothing on, in run, explain and check, and is named with what is left out', () => {
    const {run} = after('mknod-allow: ["c:10:229"]\nbind: ["data:/tmp/shown"]\n')
    const {stdout, stderr} = run('run', '--mknod', '--', 'sh', '-c', 'mknod n c 10 229; ls /tmp/shown')
    assert.equal(stdout, '')
    assert.match(stderr, /\.interceptorrc was not trusted.*left out are mknod-allow, bind.*interceptor trust /u)
    assert.match(stderr, /makedev\(10, 229\)\) = -1 EPERM {2}refused/u)
    const explained = run('explain', '--mknod', 'mknodat(AT_FDCWD, "n", S_IFCHR|0666, makedev(10, 229))')
    assert.equal(explained.status, 1)
    assert.match(explained.stderr, /was not trusted/u)
  })

  it('narrows all the same, and is named', () => {
    const {run} = after('read-only: true\n')
    const {stderr, status} = run('run', '--', 'touch', 'new')
    assert.notEqual(status, 0)
    assert.match(stderr, /configuration \S+\.interceptorrc is used/u)
    assert.match(stderr, /Read-only file system/u)
  })

  it('counts once a person trusted it, and no more when it has changed', () => {
    const {cwd, run} = after('bind: ["data:/tmp/shown"]\n')
    const shows = () => run('run', '--', 'ls', '/tmp/shown').stdout.includes('doc')
    const trusted = run('trust', '.interceptorrc')
    assert.deepEqual([trusted.status, trusted.stdout], [0, `trusted ${cwd}/.interceptorrc: bind\n`], trusted.stderr)
    assert.equal(shows(), true)
    run('run', '-q', '--', 'sh', '-c', 'echo "mknod-allow: [\'c:10:229\']" >>.interceptorrc')
    assert.equal(shows(), false)
  })

  it('cannot be trusted by the container: no run lets it write where that is listed', () => {
    const {home, run} = after('mknod: true\n')
    for (const place of [home, join(home, '.local'), join(home, '.local/state/interceptor')]) {
      mkdirSync(place, {recursive: true})
      const {status, stderr} = run('run', '--bind', place, '--', 'true')
      assert.equal(status, 125, place)
      assert.match(stderr, /the configuration files that you trust are listed there/u)
      assert.equal(run('run', '--bind', `${place}:${place}:ro`, '--', 'true').status, 0, place)
    }
    const inside = run('run', '-q', '--', 'sh', '-c', `mkdir -p ${home}/.local/state/interceptor/trusted`)
    assert.notEqual(inside.status, 0)
  })

  it('is trusted only where it is one', () => {
    const {cwd, run} = after('')
    writeFileSync(join(cwd, 'other.yaml'), 'mknod: 3\n')
    assert.match(run('trust', 'none.yaml').stderr, /cannot trust \S+none\.yaml: it is not there/u)
    assert.match(run('trust', 'other.yaml').stderr, /other\.yaml:1: /u)
    assert.notEqual(run('trust').status, 0)
  })
})
