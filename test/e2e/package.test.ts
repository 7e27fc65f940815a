import assert from 'node:assert/strict'
import {chmodSync, cpSync, existsSync, mkdirSync, readFileSync, readdirSync, symlinkSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'

import {hasHelper, hasProgram, isRoot, program, programIn, PROJECT, succeed} from '../helpers/program.js'
import {skipTestUnless, skipUnless} from '../helpers/skip.js'
import {temporaryDirectories} from '../helpers/temporary.js'

interface Packed {
  readonly filename: string
  readonly files: readonly {readonly path: string; readonly mode: number; readonly size: number}[]
}

interface LockEntry {
  readonly version?: string
  readonly dev?: boolean
  /** Needed for development, and by a package for something that it may go without. */
  readonly devOptional?: boolean
  readonly optional?: boolean
}

interface Lock {
  readonly packages: Readonly<Record<string, LockEntry>>
}

const EXPECTED = [
  'CHANGELOG.md',
  'LICENSE',
  'README.md',
  'SECURITY.md',
  'bin/run.js',
  'docs/HOWTO_RUN_WITHOUT_ROOT.md',
  'completions/_interceptor',
  'completions/interceptor.bash',
  'completions/interceptor.fish',
  'dist/api.mjs',
  'dist/enter.js',
  'dist/main.js',
  'dist/run.js',
  'dist/run.js.map',
  'dist/types/api/handler.d.ts',
  'dist/types/api/index.d.ts',
  'dist/worker.js',
  'man/interceptor-run.1',
  'man/interceptor.1',
  'man/interceptor.yaml.5',
  'npm-shrinkwrap.json',
  'package.json',
  'prebuilds/linux-arm64/interceptor-init',
  'prebuilds/linux-x64/interceptor-init',
  'schemas/decision-log.schema.json',
  'schemas/interceptor.schema.json',
]

const TYPED = `
import {readPolicy, supervise} from 'interceptor'
import type {Handler} from 'interceptor/handler'

export default {
  name: 'caesar',
  number: 5000,
  arguments: {length: {kind: 'size', index: 1}, text: {kind: 'bytes', index: 0, limit: 64, length: 1}},
  handle({length, text}, caller) {
    if (text === null) return {errno: 'E2BIG'}
    caller.memory.write(0, text)
    return {value: length}
  },
} satisfies Handler<{length: {kind: 'size'; index: 1}; text: {kind: 'bytes'; index: 0; limit: number; length: 1}}>

const policy = await readPolicy({mknod: true})
const {ended} = await supervise({listener: 3, container: 4, policy, onDecision: (one) => void one.outcome})
await ended
`

describe('the package', function () {
  this.timeout(180_000)
  skipUnless(hasProgram('make') && hasProgram('x86_64-linux-gnu-gcc'), 'no compiler for x64')
  skipUnless(hasProgram('aarch64-linux-gnu-gcc'), 'no compiler for arm64')

  const temporary = temporaryDirectories()
  let directory: string
  let packed: Packed
  let installed: string | undefined

  before(() => {
    directory = temporary()
    // npm pack builds in place: in a copy, it can't disturb the tests that run the program.
    const copy = join(directory, 'project')
    mkdirSync(copy)
    const folders = ['bin', 'completions', 'docs', 'examples', 'man', 'native', 'schemas', 'scripts', 'share', 'src']
    const files = readdirSync(PROJECT, {withFileTypes: true}).filter((entry) => entry.isFile())
    for (const name of [...folders, ...files.map((entry) => entry.name)]) {
      const built = join(PROJECT, 'native', 'build')
      const filter = (path: string): boolean => path !== built
      if (existsSync(join(PROJECT, name))) cpSync(join(PROJECT, name), join(copy, name), {recursive: true, filter})
    }
    // Packages that are shipped must be files there; links where that is possible, since nothing changes them.
    const modules = join(PROJECT, 'node_modules')
    succeed({cwd: copy}, 'sh', '-c', 'cp -al "$0" . 2>/dev/null || cp -a "$0" .', modules)
    const words = ['pack', '--json', '--loglevel=error', '--pack-destination', directory]
    ;[packed] = JSON.parse(succeed({cwd: copy, timeoutMs: 120_000}, 'npm', ...words)) as [Packed]
  })

  it('holds the program, both helpers, the manual and nothing else', () => {
    const paths = packed.files.map(({path}) => path)
    assert.deepEqual(
      EXPECTED.filter((path) => !paths.includes(path)),
      [],
    )
    const allowed =
      /^(bin\/(load|worker)\.js|bin\/package\.json|dist\/[\w.-]+\.(cache|js|js\.map)|dist\/types\/[\w/-]+\.d\.ts|share\/apparmor\/interceptor|(docs|examples)\/[\w./-]+|man\/interceptor[\w.-]*\.[15]|completions\/_?interceptor[.\w]*)$/
    const own = paths.filter((path) => !path.startsWith('node_modules/'))
    assert.deepEqual(
      own.filter((path) => !EXPECTED.includes(path) && !allowed.test(path)),
      [],
    )
    const executable = packed.files.filter(({mode, path}) => (mode & 0o111) !== 0 && own.includes(path))
    assert.deepEqual(
      executable.map(({path}) => path).filter((path) => !path.startsWith('examples/')),
      ['bin/run.js', ...EXPECTED.filter((path) => path.startsWith('prebuilds/'))],
    )
  })

  it('brings all that it needs but koffi, whose binary is that of the machine', () => {
    const {packages} = JSON.parse(readFileSync(join(PROJECT, 'package-lock.json'), 'utf8')) as Lock
    const needed = Object.entries(packages).filter(([path, {dev, devOptional}]) => path !== '' && !dev && !devOptional)
    const isKoffi = (path: string): boolean => /^node_modules\/(?:koffi|@koromix\/.*)$/.test(path)
    const brought = packed.files
      .map(({path}) => /^(node_modules\/.*)\/package\.json$/.exec(path)?.[1])
      .filter((path) => path !== undefined && path in packages)
    assert.deepEqual(
      brought.sort(),
      needed
        .filter(([path, {optional}]) => !isKoffi(path) && (optional !== true || existsSync(join(PROJECT, path))))
        .map(([path]) => path)
        .sort(),
    )
  })

  it('runs nothing when it is installed', () => {
    const {scripts} = JSON.parse(readFileSync(join(PROJECT, 'package.json'), 'utf8')) as {
      scripts: Readonly<Record<string, string>>
    }
    const hooks = ['preinstall', 'install', 'postinstall', 'prepare', 'preprepare', 'postprepare']
    assert.deepEqual(
      hooks.filter((hook) => hook in scripts),
      [],
    )
  })

  it('is installed without a compiler, in the versions of the lock file', function () {
    const prefix = join(directory, 'prefix')
    const words = ['install', '-g', '--ignore-scripts', '--no-audit', '--no-fund', '--prefix', prefix]
    // Nothing but Node and the shell: no compiler can be found.
    const tools = join(directory, 'tools')
    mkdirSync(tools)
    for (const name of ['node', 'npm', 'sh', 'env']) {
      const found = (process.env['PATH'] ?? '').split(':').find((folder) => existsSync(join(folder, name)))
      assert.ok(found !== undefined, name)
      symlinkSync(join(found, name), join(tools, name))
    }
    const env = {PATH: tools}
    const {status, stderr} = programIn(
      {env, cwd: directory, timeoutMs: 150_000},
      join(tools, 'npm'),
      ...words,
      join(directory, packed.filename),
    )
    const offline = /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT/.test(stderr)
    skipTestUnless(this, !(status !== 0 && offline), 'the npm registry cannot be reached')
    assert.equal(status, 0, stderr)
    installed = join(prefix, 'lib', 'node_modules', 'interceptor')

    const read = (file: string): Lock => JSON.parse(readFileSync(file, 'utf8')) as Lock
    const wanted = read(join(PROJECT, 'package-lock.json')).packages
    const shipped = read(join(installed, 'npm-shrinkwrap.json')).packages
    assert.deepEqual(
      Object.entries(shipped).filter(([, {dev}]) => dev === true),
      [],
    )
    for (const path of Object.keys(shipped).filter((path) => path !== '')) {
      const file = join(installed, path, 'package.json')
      // Binaries for other systems are not installed.
      if (!existsSync(file)) continue
      const {version} = JSON.parse(readFileSync(file, 'utf8')) as {version: string}
      assert.equal(version, wanted[path]?.version, path)
    }
  })

  it('brings the manual along', function () {
    skipTestUnless(this, installed !== undefined, 'it is not installed')
    const {man} = JSON.parse(readFileSync(join(installed!, 'package.json'), 'utf8')) as {man: readonly string[]}
    for (const page of man) {
      const [name = '', section = ''] = /([^/]+\.([1-8]))$/.exec(page)?.slice(1) ?? []
      assert.ok(existsSync(join(installed!, '..', '..', '..', 'share', 'man', `man${section}`, name)), page)
    }
  })

  it('has types for handlers and for programs that supervise', function () {
    skipTestUnless(this, installed !== undefined, 'it is not installed')
    const project = join(directory, 'typed')
    mkdirSync(join(project, 'node_modules'), {recursive: true})
    symlinkSync(installed!, join(project, 'node_modules', 'interceptor'))
    symlinkSync(join(PROJECT, 'node_modules', '@types'), join(project, 'node_modules', '@types'))
    const compilerOptions = {strict: true, noEmit: true, module: 'nodenext', target: 'es2023', types: ['node']}
    writeFileSync(join(project, 'tsconfig.json'), JSON.stringify({compilerOptions, files: ['one.ts']}))
    writeFileSync(join(project, 'package.json'), '{"type": "module"}')
    const compiler = join(PROJECT, 'node_modules', 'typescript', 'bin', 'tsc')
    const compile = (text: string) => {
      writeFileSync(join(project, 'one.ts'), text)
      return programIn({cwd: project}, process.execPath, compiler)
    }
    const right = compile(TYPED)
    assert.equal(right.status, 0, right.stdout)
    for (const [good, wrong] of [
      ['value: length', 'value: text'],
      ["kind: 'size'", "kind: 'long'"],
      ['mknod: true', 'mknod: {}'],
      ['.outcome', '.verdict'],
    ] as const) {
      assert.notEqual(TYPED.replace(good, wrong), TYPED)
      assert.notEqual(compile(TYPED.replace(good, wrong)).status, 0, wrong)
    }
  })

  it('runs a command from where it is installed', function () {
    skipTestUnless(this, installed !== undefined, 'it is not installed')
    skipTestUnless(this, isRoot() && hasHelper(), 'needs root')
    const binary = join(installed!, '..', '..', '..', 'bin', 'interceptor')
    const work = join(directory, 'work')
    mkdirSync(work)
    chmodSync(work, 0o700)
    const made = programIn(
      {cwd: work},
      binary,
      'run',
      '--mknod',
      '--',
      'sh',
      '-c',
      'mknod null c 1 3; stat -c %t:%T null',
    )
    assert.deepEqual([made.status, made.stdout], [0, '1:3\n'], made.stderr)
    assert.match(made.stderr, /mknodat\(AT_FDCWD, "null", .* = 0 {2}emulated/)
  })

  for (const [folder, machine] of [
    ['linux-x64', 62],
    ['linux-arm64', 183],
  ] as const) {
    it(`ships a static helper for ${folder}`, () => {
      const file = join(directory, 'project', 'prebuilds', folder, 'interceptor-init')
      const bytes = readFileSync(file)
      assert.equal(bytes.readUInt32BE(0), 0x7f454c46)
      assert.equal(bytes.readUInt16LE(18), machine)
      // elf(5): neither PT_INTERP nor PT_DYNAMIC, so that no library of the host is needed.
      const [offset, size, count] = [Number(bytes.readBigUInt64LE(32)), bytes.readUInt16LE(54), bytes.readUInt16LE(56)]
      const types = Array.from({length: count}, (_, index) => bytes.readUInt32LE(offset + index * size))
      assert.deepEqual(
        types.filter((type) => type === 2 || type === 3),
        [],
      )
    })
  }

  it('tells its version', function () {
    skipTestUnless(this, installed !== undefined, 'it is not installed')
    const version = program(join(installed!, 'bin', 'run.js'), '--version')
    assert.deepEqual([version.status, version.stderr], [0, ''])
    assert.match(version.stdout, /^interceptor\/\d+\.\d+\.\d+ linux-/)
  })
})
