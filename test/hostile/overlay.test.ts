// Overlays made to lend a container the host's rights over a directory of the host: by the layers of a call that failed,
// by every way to name a layer, and by names that change meanwhile.

import assert from 'node:assert/strict'
import {chmodSync, mkdirSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'

import {INTERCEPTOR, interceptorIn, succeed} from '../helpers/program.js'
import type {Ended} from '../helpers/program.js'
import {skipUnlessPrivileged, skipUnlessPrograms} from '../helpers/skip.js'
import {temporaryDirectories} from '../helpers/temporary.js'

const SECRET = 'for root of the host alone'

/**
 * The new mount calls by number, which every machine has the same. `upper` holds a stub that an overlay made itself: its
 * owner and mode are the container's, its data that of a file of the same name in a lower layer (metacopy).
 */
const PRELUDE = `
import ctypes, errno, os, shutil, subprocess, sys, threading
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
FLAG, STRING, BINARY, PATH, PATH_EMPTY, FD, CREATE = range(7)
def call(number, *arguments):
    words = [ctypes.c_char_p(word.encode()) if isinstance(word, str) else ctypes.c_long(word or 0) for word in arguments]
    result = libc.syscall(ctypes.c_long(number), *words)
    return result if result >= 0 else errno.errorcode[ctypes.get_errno()]
def opened(): return call(430, 'overlay', 1)
def set(context, *options):
    'what each answers; a pair is a string, three words are the command too'
    answers = []
    for option in options:
        command, key, value = option if len(option) == 3 else (STRING, *option)
        if command == FD: answers.append(call(431, context, FD, key, None, value))
        elif command == FLAG: answers.append(call(431, context, FLAG, key, None, 0))
        elif command in (PATH, PATH_EMPTY): answers.append(call(431, context, command, key, value, -100))
        elif command == BINARY: answers.append(call(431, context, BINARY, key, value, len(value)))
        else: answers.append(call(431, context, STRING, key, value, 0))
    return answers
def mount(context):
    created = call(431, context, CREATE, None, None, 0)
    if created != 0: return created
    made = call(432, context, 1, 0)
    if isinstance(made, str): return made
    moved = call(429, made, '', -100, 'm', 4)
    os.close(made)
    return moved
def read(): return subprocess.run('cat m/secret m/inner/secret; umount m', shell=True, capture_output=True, text=True).stdout
def fresh():
    shutil.rmtree('work', ignore_errors=True); os.mkdir('work')
for name in ('own', 'own/inner', 'upper', 'work', 'm', 'empty', 'data'): os.makedirs(name, exist_ok=True)
for name in ('own/secret', 'own/inner/secret'):
    with open(name, 'w') as file: file.write('x' * ${SECRET.length + 1})
    os.chmod(name, 0o600)
ON = (('metacopy', 'on'), ('redirect_dir', 'on'))
WRITABLE = (('upperdir', 'upper'), ('workdir', 'work')) + ON
context = opened()
if set(context, ('lowerdir', 'own'), *WRITABLE) != [0] * 5 or mount(context) != 0: print('no stub')
os.close(context)
os.chmod('m/secret', 0o666); os.chmod('m/inner/secret', 0o666)
subprocess.run(['umount', 'm'])
if os.path.getsize('upper/secret') == 0 or open('upper/secret').read(1) != chr(0): print('not a stub')
host = sys.argv[1]
def attempt(title, *options, writable=WRITABLE):
    fresh()
    context = opened()
    answers = set(context, *options, *writable)
    result = mount(context)
    os.close(context)
    text = read() if result == 0 else ''
    if '${SECRET}' in text: print('READ', title, answers, result)
    return answers, result
`

describe('a hostile container that makes overlays', function () {
  this.timeout(90_000)
  skipUnlessPrivileged()
  skipUnlessPrograms('python3')
  const temporary = temporaryDirectories()
  let host = ''

  before(() => {
    host = temporary()
    chmodSync(host, 0o755)
    mkdirSync(join(host, 'inner'))
    for (const name of ['secret', 'inner/secret']) writeFileSync(join(host, name), `${SECRET}\n`, {mode: 0o600})
  })

  function run(source: string): Ended {
    const top = temporary()
    chmodSync(top, 0o755)
    writeFileSync(join(top, 'attack.py'), PRELUDE + source)
    const ended = interceptorIn({cwd: top}, 'run', '--mount-allowed', 'overlay', '--', 'python3', 'attack.py', host)
    assert.equal(ended.status, 0, ended.stderr)
    assert.deepEqual(ended.stderr.match(/.*internal error.*|^ +at .*/gmu) ?? [], [])
    return ended
  }

  it("reads nothing of the host's by a layer that was taken before its option failed", () => {
    const {stdout, stderr} = run(`
held = os.open(host, os.O_PATH)
file = os.open('own/secret', os.O_PATH)
for title, options in {
    'lowerdir, the second is missing': [('lowerdir', host + ':/nonexistent')],
    'lowerdir, the second is a file': [('lowerdir', host + ':own/secret')],
    'lowerdir, data is missing': [('lowerdir', host + '::/nonexistent')],
    'lowerdir, a layer after data': [('lowerdir', host + '::empty:empty')],
    'lowerdir, a colon behind': [('lowerdir', host + ':')],
    'lowerdir, three colons': [('lowerdir', host + ':::empty')],
    'lowerdir, escaped': [('lowerdir', host.replace('t', '\\\\t') + ':/nonexistent')],
    'lowerdir twice': [('lowerdir', host + ':/nonexistent'), ('lowerdir', 'empty')],
    'lowerdir, then nothing': [('lowerdir', host + ':/nonexistent'), ('lowerdir', '')],
    'lowerdir, then one more': [('lowerdir', host + ':/nonexistent'), ('lowerdir+', 'empty')],
    'one by one': [('lowerdir+', host), ('lowerdir+', '/nonexistent')],
    'one by one, data': [('lowerdir+', 'empty'), ('datadir+', host), ('datadir+', '/nonexistent')],
    'by descriptor': [(FD, 'lowerdir+', held), (FD, 'lowerdir+', file)],
    'by descriptor, then by name': [(FD, 'lowerdir+', held), ('lowerdir+', '/nonexistent')],
    'by descriptor, closed': [(FD, 'lowerdir+', held), (FD, 'lowerdir+', 999)],
    'a word': [(FLAG, 'lowerdir', None), ('lowerdir+', host), (FLAG, 'upperdir', None)],
    'a directory that does not open': [('lowerdir', host + ':' + host + '/inner/secret/x')],
}.items():
    answers, result = attempt(title, *options)
    if result == 0: print('MADE', title, answers)
    attempt(title + ', in user.*', (FLAG, 'userxattr', None), *options)
    attempt(title + ', with xino', ('xino', 'on'), ('index', 'on'), *options, ('uuid', 'on'))
`)
    assert.equal(stdout, '')
    assert.match(stderr, /FSCONFIG_CMD_CREATE.*EINVAL {2}failed .*a directory that was named before could not be used/u)
  })

  it("reads nothing of the host's by any layer that was taken", () => {
    const {stdout} = run(`
held = os.open(host, os.O_PATH)
made = 0
for title, options in {
    'lowerdir': [('lowerdir', host)],
    'below an own one': [('lowerdir', 'empty:' + host)],
    'with data': [('lowerdir', 'empty::' + host)],
    'one by one': [('lowerdir+', 'empty'), ('lowerdir+', host)],
    'data': [('lowerdir+', 'empty'), ('datadir+', host)],
    'by descriptor': [(FD, 'lowerdir+', held)],
    'data by descriptor': [('lowerdir+', 'empty'), (FD, 'datadir+', held)],
    'and then own ones alone': [('lowerdir', host), ('lowerdir', ''), ('lowerdir', 'empty')],
    'with a cred of its own': [(FLAG, 'override_creds', None), ('lowerdir', host)],
    'a path': [('lowerdir+', 'empty'), (PATH, 'lowerdir', host), (PATH, 'lowerdir+', host), (PATH_EMPTY, 'datadir+', host)],
    'bytes': [('lowerdir+', 'empty'), (BINARY, 'lowerdir', host), (BINARY, 'lowerdir+', host)],
}.items():
    attempt(title, *options)
    below = [('lowerdir', 'upper:' + option[1]) if option[0] == 'lowerdir' and option[1] else option for option in options]
    answers, result = attempt(title + ', the stub in a lower one', *below, writable=ON)
    made += result == 0
attempt('upper', ('lowerdir', 'empty'), writable=(('upperdir', host), ('workdir', 'work')))
attempt('own ones after it failed', ('lowerdir', host), ('lowerdir', 'empty'))
print('made' if made > 3 else 'nothing was made')
`)
    assert.equal(stdout, 'made\n')
  })

  it("reads nothing of the host's while names lead now here and now there", () => {
    const {stdout} = run(`
done = False
def swap():
    turn = 0
    while not done:
        turn += 1
        os.symlink(('empty', host, '/nonexistent')[turn % 3], 'next')
        os.rename('next', 'link')
os.symlink('empty', 'link')
thread = threading.Thread(target=swap); thread.start()
for turn in range(60):
    attempt('together', ('lowerdir', 'link:empty:link'))
    attempt('one by one', ('lowerdir+', 'link'), ('lowerdir+', 'link'))
    fresh()
    subprocess.run(['mount', '-t', 'overlay', 'x', '-o', 'lowerdir=link:empty:link,upperdir=upper,workdir=work,metacopy=on,redirect_dir=on', 'm'], capture_output=True)
    if '${SECRET}' in read(): print('READ by mount(2)')
done = True
thread.join()
`)
    assert.equal(stdout, '')
  })

  it('reads nothing of what the host had mounted when it began, and has unmounted since', () => {
    const other = temporary()
    const top = temporary()
    chmodSync(top, 0o755)
    const attack = `
held = os.open(host, os.O_PATH)
attempt('before', ('lowerdir', host))
print('ready')
open('ready', 'w').close()
while not os.path.exists('go'): time.sleep(0.02)
for title, options in {
    'by name': [('lowerdir', host)],
    'by descriptor': [(FD, 'lowerdir+', held)],
    'below an own one': [('lowerdir', 'empty:' + host)],
    'data': [('lowerdir+', 'empty'), ('datadir+', host)],
}.items(): attempt(title, *options)
subprocess.run(['mount', '--bind', host + '/inner', 'data'])
attempt('a part of it', ('lowerdir', 'data'))
fresh()
subprocess.run(['mount', '-t', 'overlay', 'x', '-o', f'lowerdir={host},upperdir=upper,workdir=work,metacopy=on', 'm'], capture_output=True)
if '${SECRET}' in read(): print('READ by mount(2)')
print(os.path.exists(host + '/inner'))
`
    writeFileSync(join(top, 'attack.py'), `import time\n${PRELUDE}${attack}`)
    const script = `
      mount -t tmpfs none ${other}; chmod 755 ${other}; mkdir ${other}/inner
      for name in secret inner/secret; do echo '${SECRET}' > ${other}/$name; chmod 600 ${other}/$name; done
      "$@" & child=$!
      while ! [ -e ready ] && kill -0 $child; do sleep 0.05; done
      umount ${other}; : > go; wait $child`
    const command = [INTERCEPTOR, 'run', '--mount-allowed', 'overlay', '--', 'python3', 'attack.py', other]
    assert.equal(succeed({cwd: top}, 'sh', '-euc', script, 'sh', process.execPath, ...command), 'ready\nTrue\n')
  })

  it('keeps the rights over layers that are all its own, however they were named', () => {
    const {stdout} = run(`
import stat
def works(title, *options):
    fresh()
    context = opened()
    answers = set(context, *options, *WRITABLE)
    result = mount(context)
    os.close(context)
    if result != 0: print('not made', title, answers, result); return
    # The stub's data is a file of mode 0600 of another user of the container.
    shown = subprocess.run(['setpriv', '--reuid', '1', '--clear-groups', 'head', '-c', '4', 'm/secret'], capture_output=True, text=True).stdout
    if shown != 'xxxx': print('not read', title, repr(shown))
    subprocess.run(['umount', 'm'])
own = os.open('own', os.O_PATH)
works('together', ('lowerdir', 'empty:own'))
works('one by one', ('lowerdir+', 'empty'), ('lowerdir+', 'own'))
works('by descriptor', (FD, 'lowerdir+', own))
works('named again', ('lowerdir', 'empty'), ('lowerdir', 'own'))
works('named again, one by one', ('lowerdir', 'empty'), ('lowerdir', ''), ('lowerdir+', 'own'))
works('with data', ('lowerdir', 'empty:own::data'))
context = opened()
print(set(context, ('lowerdir', 'own'), ('lowerdir+', 'empty'), ('lowerdir', ':own'), ('upperdir', ''), ('lowerdir+', '')))
os.close(context)
subprocess.run('mount -t overlay x -o lowerdir=own:empty m && mount -o remount,ro m && mount -o remount,lowerdir=empty m && ls m; umount m', shell=True)
`)
    assert.equal(stdout, "[0, 'EINVAL', 'EINVAL', 'EINVAL', 'EINVAL']\ninner\nsecret\n")
  })
})
