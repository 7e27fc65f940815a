import assert from 'node:assert/strict'

import {Ajv} from 'ajv'

import {configurationKeys, flagsOf} from '../../../src/cli/flags/index.js'
import {checkFileValues} from '../../../src/cli/line/file-values.js'
import {parseConfiguration} from '../../../src/config/document.js'
import {checkValues, configurationSchema} from '../../../src/config/schema.js'
import type {ConfigurationValues} from '../../../src/config/schema.js'
import {UsageError} from '../../../src/errors.js'

async function check(text: string): Promise<ConfigurationValues> {
  const document = parseConfiguration('f.yaml', Buffer.from(text))
  assert.ok(document)
  const values = await checkValues(document, document.data, configurationKeys)
  checkFileValues(values, Object.keys(values), (key) => `f.yaml:${document.line([key])}`)
  return values
}

async function failure(text: string): Promise<string> {
  try {
    await check(text)
  } catch (error) {
    if (error instanceof UsageError) return [error.message, ...error.hints].join(' | ')
    throw error
  }
  throw new assert.AssertionError({message: `${text} is taken`})
}

/** These say which file is used. */
const NO_KEYS = new Set(['config', 'no-config'])

interface Property {
  readonly type?: string | readonly string[]
  readonly anyOf?: readonly {readonly type: string}[]
  readonly enum?: readonly string[]
  readonly description: string
}

describe('the schema', () => {
  const schema = configurationSchema(configurationKeys) as {readonly properties: Readonly<Record<string, Property>>}
  const {properties} = schema

  it('has a key for every flag of run, of its kind and in its words, and no other', () => {
    const keys = flagsOf('run').filter(({name}) => !NO_KEYS.has(name))
    assert.deepEqual(Object.keys(properties).sort(), keys.map(({name}) => name).sort())
    for (const flag of keys) {
      const property = properties[flag.name]
      assert.ok(property, flag.name)
      const isList = property.anyOf?.some(({type}) => type === 'array') === true
      const kind = isList ? 'list' : property.type === 'boolean' ? 'switch' : 'value'
      assert.equal(kind, flag.kind, flag.name)
      assert.deepEqual(property.enum, flag.options, flag.name)
      assert.equal(property.description, flag.summary)
    }
  })

  it('is valid by itself, and takes what the program takes', () => {
    const validate = new Ajv({allowUnionTypes: true, strict: true}).compile(schema)
    assert.equal(validate({mknod: true, 'mount-fuse': {ext4: 'fuse2fs'}, pids: 5, env: {A: 1, B: true}}), true)
    assert.equal(validate({config: {'user.x': 'y'}, architecture: 'x86_64', 'ubuntu_pro.guest_attach': 'on'}), true)
    assert.equal(validate({'security.syscalls.intercept.mknod': 'true'}), true)
    assert.equal(validate({mknodd: true}), false)
    assert.equal(validate({'mount-fuse': {ext4: 5}}), false)
  })
})

describe('checkValues', () => {
  it('gives switches, texts and lists the shape of flags', async () => {
    const text = `
mknod: true
sysinfo: false
name: web
pids: 100
memory: 512
user: 1000:100
mknod-allow: c:10:229
bind: [a:/b, c]
mount-allowed: [ext4, 'xfs,btrfs']
mount-fuse: {ntfs: ntfs-3g}
env:
  A: 1
  B: x=y
`
    assert.deepEqual(await check(text), {
      mknod: true,
      name: 'web',
      pids: '100',
      memory: '512',
      user: '1000:100',
      'mknod-allow': ['c:10:229'],
      bind: ['a:/b', 'c'],
      'mount-allowed': ['ext4', 'xfs', 'btrfs'],
      'mount-fuse': ['ntfs=ntfs-3g'],
      env: ['A=1', 'B=x=y'],
    })
  })

  const wrong: readonly (readonly [string, string])[] = [
    ['mknod: true\nmknod-alow: x\n', 'f.yaml:2: unknown key "mknod-alow" | write mknod-allow'],
    ['mknod_allow: x\n', 'f.yaml:1: unknown key "mknod_allow" | write mknod-allow'],
    ['seccomp: docker\n', 'f.yaml:1: unknown key "seccomp" | see interceptor.yaml(5) for all keys'],
    ['quux: x\n', 'f.yaml:1: unknown key "quux" | see interceptor.yaml(5) for all keys'],
    ['\n\nmknod: yes\n', 'f.yaml:3: mknod must be true or false | write mknod: true'],
    ['name: [a]\n', 'f.yaml:1: name must be a text'],
    ['name:\n', 'f.yaml:1: name must be a text'],
    ['pids: true\n', 'f.yaml:1: pids must be a text or a number'],
    ['bind:\n  - a\n  - 5\n', 'f.yaml:3: bind must be a list of texts | write bind: [VALUE, VALUE]'],
    ['bind: {a: b}\n', 'f.yaml:1: bind must be a list of texts | write bind: [VALUE, VALUE]'],
    ['trace: some\n', 'f.yaml:1: trace must be one of all, refused, none | write trace: all'],
    [
      'mount-allowed: ext4\nmount-fuse: ext4=fuse2fs\n',
      'f.yaml:2: mount-allowed and mount-fuse both name ext4 | let either the kernel or a FUSE program mount it',
    ],
    [
      'mount-fuse: [ext4]\n',
      'f.yaml:1: mount-fuse "ext4" names no file system and program | write it as FS=HELPER, for example ext4=fuse2fs',
    ],
  ]
  for (const [text, message] of wrong)
    it(`refuses ${JSON.stringify(text)}`, async () => {
      assert.equal(await failure(text), message)
    })

  it('refuses what is no mapping', () => {
    assert.throws(() => parseConfiguration('f.yaml', Buffer.from('- a\n')), /f\.yaml:1: it holds no keys/)
    assert.throws(
      () => parseConfiguration('f.yaml', Buffer.from('a: b\n---\nc: d\n')),
      /f\.yaml:\d: it is not valid YAML/,
    )
    assert.throws(() => parseConfiguration('f.yaml', Buffer.from('a: "b\n')), /f\.yaml:\d: it is not valid YAML/)
    assert.throws(
      () => parseConfiguration('f.yaml', Buffer.from('a: !!js/function x\n')),
      /f\.yaml:1: it is not valid YAML/,
    )
  })
})
