// The Debian packages that the project uses, and what each is for. scripts/setup.mjs installs what is missing.

/**
 * `purpose`: build (the program itself), start (what `npm start` runs), test (what `npm test` runs besides).
 * `file`: where it counts as there, a program along PATH or an absolute path, so that other distributions can serve too.
 */
export const PACKAGES = [
  {name: 'gcc', purpose: 'build', file: 'cc', why: 'compiles the native helper'},
  {
    name: 'libc6-dev',
    purpose: 'build',
    file: '/usr/include/stdio.h',
    why: 'headers and static C library of the helper',
  },
  {name: 'make', purpose: 'build', file: 'make', why: 'builds the native helper'},

  {name: 'debootstrap', purpose: 'start', file: 'debootstrap', why: 'the main job: makes a Debian tree'},
  {
    name: 'debian-archive-keyring',
    purpose: 'start',
    file: '/usr/share/keyrings/debian-archive-keyring.gpg',
    why: 'the keys with which debootstrap checks what it downloads',
  },
  {name: 'gpgv', purpose: 'start', file: 'gpgv', why: 'the program with which debootstrap checks it'},
  {name: 'uidmap', purpose: 'start', file: 'newuidmap', why: 'maps the subordinate ids of an ordinary user (rootless)'},

  {name: 'acl', purpose: 'test', file: 'setfacl', why: 'sets access lists, which archives must keep'},
  {name: 'attr', purpose: 'test', file: 'getfattr', why: 'reads and sets extended attributes, as programs do'},
  {name: 'busybox-static', purpose: 'test', file: 'busybox', why: 'the smallest root directory to run something in'},
  {name: 'btrfs-progs', purpose: 'test', file: 'mkfs.btrfs', why: 'makes file-system images for mount tests'},
  {name: 'cpio', purpose: 'test', file: 'cpio', why: 'unpacks archives with device nodes'},
  {name: 'e2fsprogs', purpose: 'test', file: 'mkfs.ext4', why: 'makes file-system images for mount tests'},
  {name: 'fish', purpose: 'test', file: 'fish', why: 'checks its completion'},
  {name: 'fuse2fs', purpose: 'test', file: 'fuse2fs', why: 'mounts ext4 images through FUSE'},
  {name: 'fuse3', purpose: 'test', file: 'fusermount3', why: 'FUSE for ordinary users'},
  ...crossCompiler(),
  {name: 'groff', purpose: 'test', file: 'groff', why: 'checks the manual pages'},
  {name: 'kmod', purpose: 'test', file: 'insmod', why: 'asks for kernel modules, as programs do'},
  {name: 'libcap2-bin', purpose: 'test', file: 'setcap', why: 'sets file capabilities, which archives must keep'},
  {name: 'mmdebstrap', purpose: 'test', file: 'mmdebstrap', why: 'the other program that makes Debian trees'},
  {name: 'procps', purpose: 'test', file: 'ps', why: 'shows scheduling classes of tasks'},
  {name: 'python3', purpose: 'test', file: 'python3', why: 'makes system calls that the shell has no program for'},
  {name: 'rsync', purpose: 'test', file: 'rsync', why: 'copies trees with device nodes'},
  {name: 'runc', purpose: 'test', file: 'runc', why: 'a container around interceptor, as CI has it'},
  {name: 'squashfs-tools', purpose: 'test', file: 'mksquashfs', why: 'makes file-system images for mount tests'},
  {name: 'squashfuse', purpose: 'test', file: 'squashfuse', why: 'mounts squashfs images through FUSE'},
  {name: 'strace', purpose: 'test', file: 'strace', why: 'shows what a program really called'},
  {name: 'tmux', purpose: 'test', file: 'tmux', why: 'a terminal to run the program in'},
  {name: 'wget', purpose: 'test', file: 'wget', why: 'fetches a kernel module of Debian'},
  {name: 'xz-utils', purpose: 'test', file: 'xz', why: 'packs kernel modules'},
  {name: 'zstd', purpose: 'test', file: 'zstd', why: 'packs kernel modules'},
  {name: 'zsh', purpose: 'test', file: 'zsh', why: 'checks its completion'},
  {name: 'xfsprogs', purpose: 'test', file: 'mkfs.xfs', why: 'makes file-system images for mount tests'},
]

/** What compiles the helper for the other kind of processor, for the package. */
function crossCompiler() {
  const [name, cpu, triple] =
    process.arch === 'arm64' ? ['x86-64', 'amd64', 'x86_64-linux-gnu'] : ['aarch64', 'arm64', 'aarch64-linux-gnu']
  const why = `compiles the helper for ${cpu}, which the package ships too`
  return [
    {name: `gcc-${name}-linux-gnu`, purpose: 'test', file: `${triple}-gcc`, why},
    {name: `libc6-dev-${cpu}-cross`, purpose: 'test', file: `/usr/${triple}/lib/libc.a`, why},
  ]
}
