// A directory that somebody else has filled, as an ordinary user enters it: nothing in it is executed, and what looks
// like a configuration is used or ends in one clear error.

import assert from 'node:assert/strict'
import {spawnSync} from 'node:child_process'
import {chmodSync, existsSync, mkdirSync, symlinkSync, truncateSync, writeFileSync} from 'node:fs'
import {dirname, join} from 'node:path'

import {interceptorIn} from '../../helpers/program.js'
import {skipUnlessRootless} from '../../helpers/skip.js'
import {temporaryDirectories} from '../../helpers/temporary.js'

const EVIL = "require('node:fs').writeFileSync(require('node:path').join(__dirname, 'ran'), '')"
const LAUGHS = Array.from({length: 12}, (_, i) => `l${i + 1}: &l${i + 1} [${`*l${i},`.repeat(9)}]`)

interface Hostile {
  readonly what: string
  readonly files: Readonly<Record<string, string>>
  readonly then?: (cwd: string) => void
  readonly error: RegExp
}

const rows: readonly Hostile[] = [
  {
    what: 'a directive that imports',
    files: {'.interceptorrc': '$import: ./evil.js\nmknod: true\n', 'evil.js': EVIL},
    error: /^interceptor: \S+\/\.interceptorrc:1: unknown key "\$import"\n/,
  },
  {
    what: 'a file that everyone can write',
    files: {'.interceptorrc': 'mknod: true\n'},
    then: (cwd) => chmodSync(join(cwd, '.interceptorrc'), 0o666),
    error: /^interceptor: cannot use the configuration \S+\/\.interceptorrc: others can write to it\n/,
  },
  {
    what: 'a link to a secret',
    files: {},
    then: (cwd) => symlinkSync('/etc/shadow', join(cwd, '.interceptorrc')),
    error: /^interceptor: cannot use the configuration \S+\/\.interceptorrc: it is a symbolic link\n/,
  },
  {
    what: '100 MB of YAML',
    files: {'interceptor.config.yaml': 'mknod: true\n'},
    then: (cwd) => truncateSync(join(cwd, 'interceptor.config.yaml'), 100_000_000),
    error: /^interceptor: cannot use the configuration \S+: it has more than 1048576 bytes\n/,
  },
  {
    what: 'a billion laughs',
    files: {'.interceptorrc.yml': ['l0: &l0 [ha]', ...LAUGHS, 'mknod: true'].join('\n')},
    error: /^interceptor: \S+\/\.interceptorrc\.yml: it uses too many aliases\n/,
  },
  {
    what: 'a FIFO',
    files: {},
    then: (cwd) => spawnSync('mkfifo', [join(cwd, '.interceptorrc')]),
    error: /^interceptor: cannot use the configuration \S+: it is no regular file\n/,
  },
  {
    what: 'a handler in package.json',
    files: {'package.json': '{"interceptor": {"handler": ["./evil.js"]}}', 'evil.js': EVIL},
    error: /^interceptor: \S+\/package\.json:1: handler is only taken from a file that was named\n/,
  },
]

describe('a hostile directory', () => {
  skipUnlessRootless()
  const temporary = temporaryDirectories()
  const fill = (files: Hostile['files']): string => {
    const cwd = temporary()
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(dirname(join(cwd, name)), {recursive: true})
      writeFileSync(join(cwd, name), text, {mode: 0o644})
    }
    return cwd
  }

  for (const {what, files, then, error} of rows) {
    it(`with ${what} ends in a clear error`, () => {
      const cwd = fill(files)
      then?.(cwd)
      for (const [command, status] of [
        [['run', '--', 'true'], 125],
        [['explain'], 2],
        [['check'], 2],
      ] as const) {
        const ended = interceptorIn({cwd}, ...command)
        assert.match(ended.stderr, error)
        assert.match(ended.stderr, /^interceptor: [^\n]+\n(hint: [^\n]+\n)*$/)
        assert.deepEqual([ended.status, ended.stdout], [status, ''])
      }
      assert.equal(existsSync(join(cwd, 'ran')), false)
    })
  }

  it('with programs for a configuration has none of them executed, and one line says so', () => {
    const names = ['config.js', '.config/config.cjs', '.config/interceptorrc.js', 'interceptor.config.js']
    const cwd = fill(Object.fromEntries(names.map((name) => [name, EVIL])))
    const {status, stdout, stderr} = interceptorIn({cwd}, 'run', '--', 'echo', 'done')
    assert.deepEqual([status, stdout], [0, 'done\n'])
    assert.match(
      stderr,
      /^interceptor: configuration \S+\/interceptor\.config\.js is not used: nothing is executed; .*\n$/,
    )
    assert.deepEqual(
      ['.', '.config'].filter((name) => existsSync(join(cwd, name, 'ran'))),
      [],
    )
  })
})
