import assert from 'node:assert/strict'
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'

import type {ManifestEntry} from '../../../src/intercept/family.js'
import {Inventory, ManifestFile, manifestText} from '../../../src/render/manifest.js'

function node(path: string, more: Record<string, boolean | number | string | Buffer> = {}): ManifestEntry {
  return {kind: 'node', path: Buffer.from(path), strategy: 'bind', type: 'c', major: 1, minor: 3, mode: 0o666, ...more}
}

function paths(inventory: Inventory): string[] {
  return inventory.entries.map((entry) => entry.path.toString())
}

describe('Inventory', () => {
  it('keeps the last object at a path', () => {
    const inventory = new Inventory()
    inventory.add(node('/a', {minor: 5}))
    inventory.add(node('/b'))
    inventory.add(node('/a'))
    assert.deepEqual(inventory.entries, [node('/b'), node('/a')])
  })

  it('follows removal and renaming', () => {
    const inventory = new Inventory()
    inventory.add(node('/a'))
    inventory.add(node('/b'))
    inventory.add(node('/a', {movedTo: Buffer.from('/c')}))
    inventory.add(node('/b', {removed: true}))
    assert.deepEqual(paths(inventory), ['/c'])
  })

  it('follows two that changed places', () => {
    const inventory = new Inventory()
    inventory.add({...node('/a'), minor: 3})
    inventory.add({...node('/b'), minor: 5})
    inventory.add(node('/a', {movedTo: Buffer.from('/b'), exchanged: true}))
    const minors = inventory.entries.map(({path, minor}) => [path.toString(), minor])
    assert.deepEqual(minors.sort(), [
      ['/a', 5],
      ['/b', 3],
    ])
    inventory.add(node('/a', {movedTo: Buffer.from('/c'), exchanged: true}))
    assert.deepEqual(paths(inventory).sort(), ['/b', '/c'])
  })

  it('is bounded, tells how much it left out, and has room again after removals', () => {
    const inventory = new Inventory(10_000)
    const large = (path: string): ManifestEntry => node(path, {value: Buffer.alloc(3000)})
    for (const path of ['/a', '/b', '/c', '/d']) inventory.add(large(path))
    assert.deepEqual([paths(inventory), inventory.leftOut], [['/a', '/b'], 2])
    inventory.add(large('/b'))
    inventory.add(node('/a', {removed: true}))
    inventory.add(node('/b', {movedTo: Buffer.from('/e')}))
    inventory.add(large('/f'))
    assert.deepEqual([paths(inventory), inventory.leftOut], [['/e', '/f'], 2])
    assert.equal((JSON.parse(manifestText(inventory.entries, inventory.leftOut)) as {left_out: number}).left_out, 2)
  })

  it('takes a bounded memory for a container that makes nodes for ever', function () {
    this.timeout(20_000)
    const inventory = new Inventory(8 * 1024 * 1024)
    const used = (): number => process.memoryUsage().heapUsed + process.memoryUsage().external
    const before = used()
    // Each small buffer of the pool is followed by others that fill it up.
    for (let index = 0; index < 40_000; index++) {
      inventory.add(node(`/${index}`))
      Buffer.from('x'.repeat(4000))
    }
    assert.ok(inventory.leftOut > 0)
    assert.ok(used() - before < 64 * 1024 * 1024)
  })

  it('tells attributes of one file apart', () => {
    const inventory = new Inventory()
    const attribute = (name: string): ManifestEntry => ({...node('/d'), kind: 'attribute', name})
    inventory.add(attribute('trusted.a'))
    inventory.add(attribute('trusted.b'))
    assert.equal(inventory.entries.length, 2)
  })
})

describe('manifestText', () => {
  it('is JSON with bytes as text or base64', () => {
    const entries = [node('/a'), {...node('/x'), path: Buffer.of(0x2f, 0xff)}]
    const members = {strategy: 'bind', type: 'c', major: 1, minor: 3, mode: 0o666}
    assert.deepEqual(JSON.parse(manifestText(entries)), {
      v: 1,
      entries: [
        {kind: 'node', path: '/a', ...members},
        {kind: 'node', path: {base64: 'L/8='}, ...members},
      ],
    })
  })
})

describe('ManifestFile', () => {
  let directory = ''
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'interceptor-manifest-'))
  })
  afterEach(() => {
    rmSync(directory, {recursive: true})
  })

  it('replaces the file and leaves nothing else', async () => {
    writeFileSync(join(directory, 'm.json'), 'old')
    const file = await ManifestFile.open(Buffer.from(join(directory, 'm.json')))
    await file.replace('new')
    assert.equal(readFileSync(join(directory, 'm.json'), 'utf8'), 'new')
    assert.deepEqual(readdirSync(directory), ['m.json'])
  })

  it('does not follow links that the container puts in the way', async () => {
    mkdirSync(join(directory, 'sub'))
    mkdirSync(join(directory, 'target'))
    writeFileSync(join(directory, 'target', 'victim'), 'safe')
    const file = await ManifestFile.open(Buffer.from(join(directory, 'sub', 'm.json')))
    symlinkSync('../target/victim', join(directory, 'sub', 'm.json'))
    renameSync(join(directory, 'sub'), join(directory, 'moved'))
    symlinkSync('target', join(directory, 'sub'))
    await file.replace('new')
    assert.equal(readFileSync(join(directory, 'target', 'victim'), 'utf8'), 'safe')
    assert.deepEqual(readdirSync(join(directory, 'target')), ['victim'])
    assert.equal(readFileSync(join(directory, 'moved', 'm.json'), 'utf8'), 'new')
  })

  it('fails before the run where the directory is missing or the name is none', async () => {
    await assert.rejects(ManifestFile.open(Buffer.from(join(directory, 'no', 'm.json'))), {
      message: /: its directory is not there$/,
    })
    await assert.rejects(ManifestFile.open(Buffer.from(`${directory}/`)), {message: /: it is a directory$/})
  })
})
