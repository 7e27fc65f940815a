import assert from 'node:assert/strict'
import {chmodSync, chownSync, existsSync, mkdirSync, symlinkSync, truncateSync, writeFileSync} from 'node:fs'
import {dirname, join} from 'node:path'

import {configurationKeys} from '../../../src/cli/flags/index.js'
import {loadConfiguration} from '../../../src/config/load.js'
import type {ConfigurationRequest} from '../../../src/config/load.js'
import type {LoadedConfiguration} from '../../../src/config/read.js'
import type {UsageError} from '../../../src/errors.js'
import {makeFifo} from '../../helpers/fifo.js'
import {isRoot} from '../../helpers/program.js'
import {temporaryDirectories} from '../../helpers/temporary.js'

const SELF = process.geteuid?.() ?? 0
/** An ordinary user: ourselves, or one whose files root owns, which it may use. */
const USER = SELF === 0 ? 12_345 : SELF
const GROUP = process.getegid?.() ?? 0

const temporary = temporaryDirectories()

function directoryWith(files: Readonly<Record<string, string>>): string {
  const directory = temporary()
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, name)), {recursive: true})
    writeFileSync(join(directory, name), text, {mode: 0o644})
  }
  return directory
}

async function load(cwd: string, request: Partial<ConfigurationRequest> = {}): Promise<LoadedConfiguration> {
  const defaults = {
    disabled: false,
    keys: configurationKeys,
    euid: USER,
    egid: GROUP,
    environment: {},
    isTrusted: () => true,
  }
  return loadConfiguration({cwd, ...defaults, ...request})
}

async function refused(promise: Promise<unknown>, message: RegExp): Promise<UsageError> {
  let thrown: unknown
  await assert.rejects(promise, (error) => {
    thrown = error
    // Not instanceof: what is imported while running is another copy of its module here.
    return error instanceof Error && error.name === 'UsageError' && message.test(error.message)
  })
  return thrown as UsageError
}

describe('loadConfiguration', () => {
  for (const name of [
    '.interceptorrc',
    '.interceptorrc.yaml',
    '.interceptorrc.yml',
    'interceptor.config.yaml',
    'interceptor.config.yml',
  ])
    it(`finds ${name}`, async () => {
      const cwd = directoryWith({[name]: 'mknod: true\nmknod-allow: [c:10:229]\n'})
      const {file, values, notes} = await load(cwd)
      assert.equal(file, join(cwd, name))
      assert.deepEqual(values, {mknod: true, 'mknod-allow': ['c:10:229']})
      assert.deepEqual(notes, [`configuration ${join(cwd, name)} is used`])
    })

  for (const name of ['.interceptorrc', '.interceptorrc.json', 'interceptor.config.json'])
    it(`reads JSON in ${name}`, async () => {
      const cwd = directoryWith({[name]: '{\n\t"mount": true,\n\t"mount-allowed": "ext4, xfs"\n}\n'})
      assert.deepEqual((await load(cwd)).values, {mount: true, 'mount-allowed': ['ext4', 'xfs']})
    })

  it('finds the member of package.json, and passes over one without it', async () => {
    const cwd = directoryWith({
      'package.json': '{"name": "x", "interceptor": {"sysinfo": true}}',
      'a/package.json': '{"name": "interceptor"}',
      'a/b/package.json': '{not json "interceptor"',
    })
    const {file, values} = await load(join(cwd, 'a/b'))
    assert.equal(file, join(cwd, 'package.json'))
    assert.deepEqual(values, {sysinfo: true})
  })

  it('takes the nearest file, and none that is empty', async () => {
    const cwd = directoryWith({'.interceptorrc': 'sysinfo: true', 'a/.interceptorrc': ' \n', 'a/b/x': ''})
    assert.equal((await load(join(cwd, 'a/b'))).file, join(cwd, '.interceptorrc'))
  })

  it('finds the own directory of the user behind those of the project', async () => {
    const home = directoryWith({
      '.config/interceptor/config.yaml': 'mknod: true',
      'xdg/interceptor/interceptor.yaml': 'sysinfo: true',
    })
    const cwd = temporary()
    const none = (await load(cwd)).file
    if (none === undefined || none.startsWith('/etc/')) {
      assert.deepEqual((await load(cwd, {environment: {HOME: home}})).values, {mknod: true})
      const environment = {HOME: home, XDG_CONFIG_HOME: join(home, 'xdg')}
      assert.deepEqual((await load(cwd, {environment})).values, {sysinfo: true})
    }
  })

  it('is told to look for nothing', async () => {
    const cwd = directoryWith({'.interceptorrc': 'mknod: true'})
    const {file, values} = await load(cwd, {disabled: true})
    assert.deepEqual([file, values], [undefined, {}])
  })

  it('takes the file that is named, whoever has it, before any other', async () => {
    const cwd = directoryWith({'.interceptorrc': 'mknod: true', 'ci.yaml': 'sysinfo: true'})
    chmodSync(join(cwd, 'ci.yaml'), 0o666)
    assert.deepEqual((await load(cwd, {explicit: 'ci.yaml'})).values, {sysinfo: true})
    assert.deepEqual((await load('/', {explicit: join(cwd, 'ci.yaml'), euid: 0})).values, {sysinfo: true})
    await refused(load(cwd, {explicit: 'missing.yaml'}), /missing\.yaml: no such file/)
  })

  it('takes an empty file that is named', async () => {
    const cwd = directoryWith({'ci.yaml': ''})
    const {file, values} = await load(cwd, {explicit: 'ci.yaml'})
    assert.deepEqual([file, values], [join(cwd, 'ci.yaml'), {}])
  })
})

describe('loadConfiguration, started by root', () => {
  it('names what lies in the project and does not use it', async () => {
    const cwd = directoryWith({'.interceptorrc': 'mount: true', 'a/x': ''})
    const {file, values, notes} = await load(join(cwd, 'a'), {euid: 0})
    assert.equal(file, undefined)
    assert.deepEqual(values, {})
    assert.equal(notes.length, 1)
    assert.ok(notes[0]?.includes(`${cwd}/.interceptorrc`) && notes[0].includes('--config'), notes[0])
  })

  it('is not stopped by what it does not use', async () => {
    const cwd = directoryWith({'.interceptorrc': '{{{'})
    assert.equal((await load(cwd, {euid: 0})).notes.length, 1)
    const linked = temporary()
    symlinkSync('/etc/shadow', join(linked, '.interceptorrc'))
    assert.equal((await load(linked, {euid: 0})).notes.length, 1)
  })

  it('says nothing of a package.json that is not about us', async () => {
    const cwd = directoryWith({'package.json': '{"name": "interceptor"}'})
    assert.deepEqual((await load(cwd, {euid: 0})).notes, [])
    const about = directoryWith({'package.json': '{"interceptor": {"mknod": true}}'})
    assert.equal((await load(about, {euid: 0})).notes.length, 1)
  })

  it("does not use a user's own configuration", async function () {
    if (!isRoot()) this.skip()
    const home = directoryWith({'.config/interceptor/config.yaml': 'mount: true'})
    chownSync(join(home, '.config/interceptor/config.yaml'), 12_345, 12_345)
    const {values, notes} = await load(temporary(), {euid: 0, environment: {HOME: home}})
    assert.deepEqual(values, {})
    assert.match(notes.join(), /it belongs to user 12345/)
  })
})

describe('loadConfiguration, among hostile files', () => {
  it('executes nothing', async () => {
    const evil = `require('fs').writeFileSync(require('path').join(__dirname, 'ran'), '')`
    const cwd = directoryWith({
      'interceptor.config.js': evil,
      '.interceptorrc.js': evil,
      '.interceptorrc.cjs': evil,
      '.config/config.cjs': evil,
      '.config/config.js': evil,
      '.config/interceptorrc.js': evil,
      'package.json': '{"cosmiconfig": {"searchPlaces": ["interceptor.config.js"]}}',
      '.interceptorrc': 'mknod: true',
    })
    const before = process.cwd()
    process.chdir(cwd)
    try {
      assert.deepEqual((await load(cwd)).values, {mknod: true})
      assert.equal(process.cwd(), cwd)
    } finally {
      process.chdir(before)
    }
    assert.deepEqual(
      ['.', '.config'].filter((name) => existsSync(join(cwd, name, 'ran'))),
      [],
    )
    await refused(load(cwd, {explicit: 'interceptor.config.js'}), /nothing is executed/)
  })

  it('tells of a program that somebody may take for the configuration', async () => {
    const cwd = directoryWith({'interceptor.config.mjs': 'process.exit(9)', 'a/x': ''})
    for (const isRoot of [true, false]) {
      const {notes, values} = await load(join(cwd, 'a'), {isRoot})
      assert.deepEqual(values, {})
      assert.deepEqual(notes, [
        `configuration ${cwd}/interceptor.config.mjs is not used: nothing is executed; ` +
          'write it in YAML, as interceptor.config.yaml',
      ])
    }
  })

  it('imports nothing', async () => {
    const cwd = directoryWith({'.interceptorrc': 'mknod: true\n$import: ./evil.cjs\n', 'evil.cjs': 'process.exit(9)'})
    await refused(load(cwd), /\.interceptorrc:2: unknown key "\$import"/)
  })

  for (const [mode, message] of [
    [0o646, /others can write to it/],
    [0o666, /others can write to it/],
  ] as const)
    it(`refuses a file with mode ${mode.toString(8)}`, async () => {
      const cwd = directoryWith({'.interceptorrc': 'mknod: true'})
      chmodSync(join(cwd, '.interceptorrc'), mode)
      await refused(load(cwd), message)
    })

  it("lets the user's own group write, and no other", async () => {
    const cwd = directoryWith({'.interceptorrc': 'mknod: true'})
    chmodSync(join(cwd, '.interceptorrc'), 0o664)
    assert.deepEqual((await load(cwd)).values, {mknod: true})
    await refused(load(cwd, {egid: GROUP + 1}), /others can write to it/)
  })

  it('refuses a file of another user', async function () {
    if (!isRoot()) this.skip()
    const cwd = directoryWith({'.interceptorrc': 'mknod: true', 'a/package.json': '{"interceptor": {}}'})
    chownSync(join(cwd, '.interceptorrc'), 54_321, 54_321)
    chownSync(join(cwd, 'a/package.json'), 54_321, 54_321)
    await refused(load(cwd), /it belongs to user 54321/)
    await refused(load(join(cwd, 'a')), /a\/package\.json: it belongs to user 54321/)
  })

  it('refuses a link', async () => {
    const cwd = temporary()
    symlinkSync('/etc/shadow', join(cwd, '.interceptorrc'))
    await refused(load(cwd), /it is a symbolic link/)
  })

  it('shows nothing of a file that is no configuration', async () => {
    const cwd = directoryWith({secret: 'root:$6$secret: {hash\n\tx: [y'})
    symlinkSync(join(cwd, 'secret'), join(cwd, 'link.yaml'))
    const error = await refused(load(cwd, {explicit: 'link.yaml'}), /link\.yaml/)
    assert.equal(error.message.includes('secret'), false)
  })

  it('does not wait for a FIFO and does not read a directory', async () => {
    const cwd = temporary()
    makeFifo(join(cwd, '.interceptorrc'))
    await refused(load(cwd), /it is no regular file/)
    const other = directoryWith({'.interceptorrc/x': ''})
    await refused(load(other), /it is no regular file/)
    await refused(load(cwd, {explicit: '/dev/zero'}), /it is no regular file/)
  })

  it('reads no file of 100 MB', async () => {
    const cwd = directoryWith({'.interceptorrc': 'mknod: true\n'})
    truncateSync(join(cwd, '.interceptorrc'), 100_000_000)
    await refused(load(cwd), /more than 1048576 bytes/)
  })

  it('stops at a billion laughs', async () => {
    const levels = Array.from({length: 12}, (_, i) => `l${i + 1}: &l${i + 1} [${`*l${i},`.repeat(9)}]`)
    const cwd = directoryWith({'.interceptorrc': ['l0: &l0 [ha]', ...levels, 'mknod: true'].join('\n')})
    await refused(load(cwd), /it uses too many aliases/)
  })

  for (const [what, text] of [
    ['brackets', '['.repeat(200_000)],
    ['lists', '- '.repeat(200_000)],
    ['complex keys', '? '.repeat(200_000)],
    ['indentation', Array.from({length: 1000}, (_, depth) => `${' '.repeat(depth)}a:`).join('\n')],
    ['anchors', '&a '.repeat(200_000)],
    ['tags', '!a '.repeat(200_000)],
  ] as const)
    it(`stops at too many ${what}`, async () => {
      await refused(load(directoryWith({'.interceptorrc': text})), /nested too deeply/)
    })

  it('is not slow with many keys', async () => {
    const keys = Array.from({length: 50_000}, (_, index) => `user.k${index}: 1`)
    const cwd = directoryWith({'.interceptorrc': ['mknod: true', ...keys].join('\n')})
    assert.deepEqual((await load(cwd)).values, {mknod: true})
  }).timeout(20_000)

  it('takes no key twice and none that is no text', async () => {
    await refused(
      load(directoryWith({'.interceptorrc': 'mknod: true\n\nmknod: false\n'})),
      /:3: "mknod" is given twice/,
    )
    await refused(load(directoryWith({'.interceptorrc': '{[a]: b}'})), /:1: it has a key that is no text/)
  })

  it('takes no bytes that are no text', async () => {
    const cwd = temporary()
    writeFileSync(join(cwd, '.interceptorrc'), Buffer.from('name: \xff\xfe\n', 'latin1'))
    await refused(load(cwd), /not text in UTF-8/)
  })

  it('takes no prototype for a key', async () => {
    const cwd = directoryWith({'.interceptorrc': '__proto__:\n  mknod: true\n'})
    await refused(load(cwd), /unknown key "__proto__"/)
  })

  it('takes a handler from a named file only', async () => {
    const cwd = directoryWith({'.interceptorrc.yaml': 'handler: ./h.js'})
    await refused(load(cwd), /:1: handler is only taken from a file that was named/)
    assert.deepEqual((await load(cwd, {explicit: '.interceptorrc.yaml'})).values, {handler: [join(cwd, 'h.js')]})
  })

  it('keeps a file of a project within the project', async () => {
    const outside = temporary()
    for (const line of [
      `bind: ["${outside}:/x"]`,
      'bind: [../y]',
      'bind: [link]',
      'bind: [link/deeper:/x:ro]',
      `log-file: ${outside}/log`,
      'log-file: dangling',
      'manifest: ../m',
      'rootfs: /',
      'export: link/x.tar',
      'mount-source: [/dev/sda]',
    ]) {
      const cwd = directoryWith({'.interceptorrc': line})
      symlinkSync(outside, join(cwd, 'link'))
      symlinkSync(join(outside, 'new'), join(cwd, 'dangling'))
      const error = await refused(load(cwd), /:1: \S+ names ".*", which is outside of/)
      assert.ok(error.hints.some((hint) => hint.includes('--config')))
      assert.equal((await load(cwd, {explicit: '.interceptorrc'})).file, join(cwd, '.interceptorrc'))
    }
  })
})

describe('paths in a configuration', () => {
  it('begin where the file lies', async () => {
    const cwd = directoryWith({
      '.interceptorrc': 'bind: ["data:/x:ro", "a\\\\:b"]\nlog-file: out/log\nrootfs: root\nmount-source: i\n',
      'deep/x': '',
    })
    const {values} = await load(join(cwd, 'deep'))
    assert.deepEqual(values, {
      bind: [`${cwd}/data:/x:ro`, `${cwd}/a\\:b`],
      'log-file': `${cwd}/out/log`,
      rootfs: `${cwd}/root`,
      'mount-source': [`${cwd}/i`],
    })
  })
})
