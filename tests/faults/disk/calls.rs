//! The disk as the kernel calls it, by FUSE. The kernel hands through every write at once, since it is not told to collect them.

use super::{Disk, Error, Ino, ROOT, What};
use fuser::{
    Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo, LockOwner, OpenFlags,
    RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyStatfs,
    ReplyWrite, Request, TimeOrNow, WriteFlags,
};
use std::ffi::OsStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long the kernel may believe what it was told. Nobody else changes anything.
const TTL: Duration = Duration::from_secs(3600);
const BLOCK_BYTES: u64 = 4096;
/// What the kernel is told of the room on a disk without a bound.
const ENDLESS_BYTES: u64 = 1 << 40;

/// The file system's calls, each on the disk.
pub(super) struct Calls(Arc<Mutex<Disk>>);

impl Calls {
    pub(super) const fn new(disk: Arc<Mutex<Disk>>) -> Self {
        Self(disk)
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl From<Error> for Errno {
    fn from(error: Error) -> Self {
        match error {
            Error::NotFound => Self::ENOENT,
            Error::NotADirectory => Self::ENOTDIR,
            Error::IsADirectory => Self::EISDIR,
            Error::NotEmpty => Self::ENOTEMPTY,
            Error::Exists => Self::EEXIST,
            Error::Full => Self::ENOSPC,
            Error::Io => Self::EIO,
            Error::OtherDirectory => Self::EXDEV,
        }
    }
}

impl Disk {
    fn attributes(&self, ino: Ino) -> Result<FileAttr, Error> {
        let node = self.nodes.get(&ino).ok_or(Error::NotFound)?;
        let (kind, size) = match &node.what {
            What::File(file) => (FileType::RegularFile, file.live.len() as u64),
            What::Dir(_) => (FileType::Directory, 0),
        };
        let (atime, mtime, ctime, crtime) = (UNIX_EPOCH, UNIX_EPOCH, UNIX_EPOCH, UNIX_EPOCH);
        let (perm, blocks, blksize) = (node.mode, size.div_ceil(512), 4096);
        let (nlink, uid, gid, rdev, flags) = (1, 0, 0, 0, 0);
        let ino = INodeNo(ino);
        Ok(FileAttr {
            ino,
            size,
            blocks,
            atime,
            mtime,
            ctime,
            crtime,
            kind,
            perm,
            nlink,
            uid,
            gid,
            rdev,
            blksize,
            flags,
        })
    }

    fn look_up(&mut self, parent: Ino, name: &OsStr) -> Result<FileAttr, Error> {
        let ino = *self.dir(parent)?.live.get(name).ok_or(Error::NotFound)?;
        self.attributes(ino)
    }

    fn entries(&mut self, ino: Ino) -> Result<Vec<(Ino, FileType, std::ffi::OsString)>, Error> {
        let names: Vec<_> = self.dir(ino)?.live.iter().map(|(name, ino)| (*ino, name.clone())).collect();
        let of = |(ino, name)| self.attributes(ino).map(|attributes| (ino, attributes.kind, name));
        let dots = [".", ".."].map(|name| (ino, FileType::Directory, name.into()));
        Ok(dots.into_iter().chain(names.into_iter().filter_map(|entry| of(entry).ok())).collect())
    }
}

/// Answers by this method, or with the error.
macro_rules! answer {
    ($reply:ident, $result:expr, $answer:expr) => {
        match $result {
            Ok(found) => $answer(found),
            Err(error) => $reply.error(Errno::from(error)),
        }
    };
}

fn mode(bits: u32) -> u16 {
    u16::try_from(bits & 0o7777).unwrap_or_default()
}

fn place(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}

impl Filesystem for Calls {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        answer!(reply, self.disk().look_up(parent.0, name), |found| reply.entry(&TTL, &found, Generation(0)));
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        answer!(reply, self.disk().attributes(ino.0), |found| reply.attr(&TTL, &found));
    }

    fn setattr(
        &self,
        _: &Request,
        ino: INodeNo,
        bits: Option<u32>,
        _uid: Option<u32>,
        _gid: Option<u32>,
        size: Option<u64>,
        _atime: Option<TimeOrNow>,
        _mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        _: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _: Option<fuser::BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let mut disk = self.disk();
        if let (Some(bits), Some(node)) = (bits, disk.nodes.get_mut(&ino.0)) {
            node.mode = mode(bits);
        }
        let set = size.map_or(Ok(()), |size| disk.set_length(ino.0, place(size)));
        answer!(reply, set.and_then(|()| disk.attributes(ino.0)), |found| reply.attr(&TTL, &found));
    }

    fn mkdir(&self, _: &Request, parent: INodeNo, name: &OsStr, bits: u32, umask: u32, reply: ReplyEntry) {
        let mut disk = self.disk();
        let made = disk.make(parent.0, name, mode(bits & !umask), What::Dir(super::Dir::default()));
        answer!(reply, made.and_then(|ino| disk.attributes(ino)), |found| reply.entry(&TTL, &found, Generation(0)));
    }

    fn create(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        bits: u32,
        umask: u32,
        _flags: i32,
        reply: ReplyCreate,
    ) {
        let mut disk = self.disk();
        let made = disk.make(parent.0, name, mode(bits & !umask), What::File(super::File::default()));
        let made = made.and_then(|ino| {
            disk.opened(ino);
            disk.attributes(ino)
        });
        let flags = FopenFlags::empty();
        answer!(reply, made, |found| reply.created(&TTL, &found, Generation(0), FileHandle(0), flags));
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        answer!(reply, self.disk().remove(parent.0, name, false), |()| reply.ok());
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        answer!(reply, self.disk().remove(parent.0, name, true), |()| reply.ok());
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        new_parent: INodeNo,
        new_name: &OsStr,
        _flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        answer!(reply, self.disk().rename(parent.0, name, new_parent.0, new_name), |()| reply.ok());
    }

    fn open(&self, _: &Request, ino: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        self.disk().opened(ino.0);
        reply.opened(FileHandle(0), FopenFlags::FOPEN_KEEP_CACHE);
    }

    fn release(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        _: OpenFlags,
        _: Option<LockOwner>,
        _flush: bool,
        reply: ReplyEmpty,
    ) {
        self.disk().released(ino.0);
        reply.ok();
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn read(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let mut disk = self.disk();
        answer!(reply, disk.file(ino.0), |file: &mut super::File| {
            let from = place(offset).min(file.live.len());
            let until = from.saturating_add(size as usize).min(file.live.len());
            reply.data(&file.live[from..until]);
        });
    }

    fn write(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let written = self.disk().write(ino.0, place(offset), data);
        answer!(reply, written, |()| reply.written(u32::try_from(data.len()).unwrap_or(u32::MAX)));
    }

    fn fsync(&self, _: &Request, ino: INodeNo, _: FileHandle, _datasync: bool, reply: ReplyEmpty) {
        self.disk().sync_when_let(ino.0, Box::new(move |synced| answer!(reply, synced, |()| reply.ok())));
    }

    fn fsyncdir(&self, _: &Request, ino: INodeNo, _: FileHandle, _datasync: bool, reply: ReplyEmpty) {
        answer!(reply, self.disk().sync(ino.0), |()| reply.ok());
    }

    fn readdir(&self, _: &Request, ino: INodeNo, _: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        answer!(reply, self.disk().entries(ino.0), |entries: Vec<_>| {
            for (next, (ino, kind, name)) in entries.into_iter().enumerate().skip(place(offset)) {
                if reply.add(INodeNo(ino), next as u64 + 1, kind, name) {
                    break;
                }
            }
            reply.ok();
        });
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        let disk = self.disk();
        let bytes_max = disk.trouble.bytes_max.unwrap_or(ENDLESS_BYTES);
        let (all, free) = (bytes_max / BLOCK_BYTES, bytes_max.saturating_sub(disk.used()) / BLOCK_BYTES);
        reply.statfs(all, free, free, 1 << 20, 1 << 20, 4096, 255, 4096);
    }
}

const _: () = assert!(ROOT == INodeNo::ROOT.0);
