import assert from 'node:assert/strict'

import fc from 'fast-check'

import {isSecretName, maskOptions, maskWords} from '../../../../src/intercept/caller/secrets.js'

const options = (text: string): string => maskOptions(Buffer.from(text, 'latin1')).toString('latin1')
const words = (...texts: string[]): string[] => maskWords(texts.map((text) => Buffer.from(text))).map(String)

describe('maskOptions', () => {
  const rows: readonly (readonly [string, string])[] = [
    ['user=a,pass=example', 'user=a,pass=***'],
    ['password=a,,b,user=c', 'password=***,user=c'],
    ['PASSWD=x,pass2=y', 'PASSWD=***,pass2=***'],
    ['name=admin,secret=AQ==,mds_namespace=b', 'name=admin,secret=***,mds_namespace=b'],
    ['https://me:word@host/x', 'https://me:***@host/x'],
    ['https://host/x?a=1&token=t', 'https://host/x?a=1&token=***'],
    ['lowerdir=/compass=1:/b,upperdir=u', 'lowerdir=/compass=1:/b,upperdir=u'],
    ['compass=1,ro', 'compass=1,ro'],
    ['pass=', 'pass='],
    ['user=\xff,pass=\xfe,x', 'user=\xff,pass=***,x'],
  ]
  for (const [given, shown] of rows) it(`shows ${given}`, () => assert.equal(options(given), shown))

  it('lets no value of a password through, whatever stands around it', () => {
    const plain = fc.stringMatching(/^[a-z=]{0,8}$/)
    fc.assert(
      fc.property(plain, plain, (before, after) => {
        assert.doesNotMatch(options(`${before},password=S3CRET,${after}`), /S3CRET/)
      }),
    )
  })
})

describe('maskWords', () => {
  it('masks assignments, flags and the word behind a flag', () => {
    assert.deepEqual(words('env', 'PGPASSWORD=x', '--api-token=y', '--password', 'z', 'FILE=a'), [
      ...['env', 'PGPASSWORD=***', '--api-token=***', '--password', '***', 'FILE=a'],
    ])
  })

  it('masks within a script and within options', () => {
    assert.deepEqual(words('sh', '-c', "mount -o user=a,pass=example //h/s m; X_SECRET='a b' true"), [
      ...['sh', '-c', 'mount -o user=a,pass=*** //h/s m; X_SECRET=*** true'],
    ])
    assert.deepEqual(words('debootstrap', 'http://u:p@mirror/debian'), ['debootstrap', 'http://u:***@mirror/debian'])
  })

  it('leaves what is no secret', () => {
    const plain = ['passwd', 'root', 'a@b', '--passes=3', 'monkey=1', 'http://mirror:3142/debian', 'tokens']
    assert.deepEqual(words(...plain), plain)
  })
})

describe('isSecretName', () => {
  it('knows names of values', () => {
    assert.deepEqual(['password', 'pass', 'secret', 'source', 'passive'].map(isSecretName), [
      ...[true, true, true, false, false],
    ])
  })
})
