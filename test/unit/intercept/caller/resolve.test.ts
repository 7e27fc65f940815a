// Where a path is split before its last component.

import assert from 'node:assert/strict'

import {splitPath} from '../../../../src/intercept/caller/resolve.js'

const rows: readonly (readonly [string, string, string, boolean])[] = [
  ['x', '', 'x', false],
  ['x/', '', 'x', true],
  ['/x', '/', 'x', false],
  ['//x//', '/', 'x', true],
  ['a/b', 'a', 'b', false],
  ['a//b', 'a', 'b', false],
  ['/a/b/', '/a', 'b', true],
  ['..', '', '..', false],
  ['a/.', 'a', '.', false],
  ['/', '/', '.', true],
  ['///', '/', '.', true],
]

describe('splitPath', () => {
  for (const [path, parent, name, trailingSlash] of rows) {
    it(`splits ${path}`, () => {
      const split = splitPath(Buffer.from(path))
      assert.deepEqual(
        [split.parent.toString(), split.name.toString(), split.trailingSlash],
        [parent, name, trailingSlash],
      )
    })
  }
})
