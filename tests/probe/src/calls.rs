//! A kernel that lacks system calls, for one program and those that it starts (seccomp(2)).

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// The offset of the call's number in `struct seccomp_data` (linux/seccomp.h).
const NUMBER: u32 = 0;
/// prctl(2) takes whole words.
const SET: libc::c_ulong = 1;
const UNUSED: libc::c_ulong = 0;

/// Becomes `command`, which is told that the calls of these numbers are unknown.
pub fn without(numbers: &[u64], command: &[&str]) -> io::Result<()> {
    let (program, words) = command.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    refuse(numbers)?;
    Err(Command::new(program).args(words).exec())
}

fn refuse(numbers: &[u64]) -> io::Result<()> {
    let mut filter = vec![instruction(
        libc::BPF_LD | libc::BPF_W | libc::BPF_ABS,
        NUMBER,
        0,
    )];
    let equal = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
    let answer = libc::BPF_RET | libc::BPF_K;
    let unknown = libc::SECCOMP_RET_ERRNO | libc::ENOSYS.cast_unsigned();
    for number in numbers {
        let number = u32::try_from(*number).map_err(io::Error::other)?;
        filter.push(instruction(equal, number, 1));
        filter.push(instruction(answer, unknown, 0));
    }
    filter.push(instruction(answer, libc::SECCOMP_RET_ALLOW, 0));
    let program = libc::sock_fprog {
        len: u16::try_from(filter.len()).map_err(io::Error::other)?,
        filter: filter.as_mut_ptr(),
    };
    // SAFETY: neither call touches memory but to read the filter, which outlives them.
    let is_installed = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, SET, UNUSED, UNUSED, UNUSED) == 0
            && libc::prctl(
                libc::PR_SET_SECCOMP,
                libc::c_ulong::from(libc::SECCOMP_MODE_FILTER),
                &raw const program,
            ) == 0
    };
    if is_installed {
        return Ok(());
    }
    Err(io::Error::last_os_error())
}

/// One that goes on with the next, or after `otherwise` more where a comparison fails.
fn instruction(code: u32, operand: u32, otherwise: u8) -> libc::sock_filter {
    libc::sock_filter {
        // All codes are below 256 (linux/bpf_common.h).
        code: code as u16,
        jt: 0,
        jf: otherwise,
        k: operand,
    }
}
