//! cris, as of version 32: branches count from their own address, and the instruction after one is run before it.
//!
//! `cris-elf-as --march=v32`

pub(super) const CODE: &[&[u8]] = &[
    &[0x6e, 0xaa], // move.d [$sp], $r10
    &[0xc2, 0xa2], // cmpq 2, $r10
    &[0x0a, 0xa0], // bge more
    &[0xb0, 0x05], // nop
    &[0x5d, 0xa2], // moveq 29, $r10
    // exit:
    &[0x41, 0x92], // moveq 1, $r9
    &[0x3d, 0xe9], // break 13
    // more:
    &[0x6e, 0xc6],                         // move.d $sp, $r12
    &[0x04, 0xc2],                         // addq 4, $r12
    &[0x6c, 0xba],                         // move.d [$r12], $r11
    &[0x41, 0xa2],                         // moveq 1, $r10
    &[0x48, 0xc2],                         // moveq 8, $r12
    &[0x44, 0x92],                         // moveq 4, $r9
    &[0x3d, 0xe9],                         // break 13
    &[0xc8, 0xa2],                         // cmpq 8, $r10
    &[0x34, 0x20],                         // bne fail
    &[0x42, 0x92],                         // moveq 2, $r9
    &[0x3d, 0xe9],                         // break 13
    &[0xc0, 0xa2],                         // cmpq 0, $r10
    &[0x2c, 0xb0],                         // blt fail
    &[0xb0, 0x05],                         // nop
    &[0x18, 0x30],                         // beq child
    &[0x7f, 0xa2],                         // moveq -1, $r10
    &[0x6e, 0xb6],                         // move.d $sp, $r11
    &[0x40, 0xc2],                         // moveq 0, $r12
    &[0x40, 0xd2],                         // moveq 0, $r13
    &[0x6f, 0x9e, 0x72, 0x00, 0x00, 0x00], // move.d 114, $r9
    &[0x3d, 0xe9],                         // break 13
    &[0x6e, 0xaa],                         // move.d [$sp], $r10
    &[0xcd, 0xe0],                         // ba exit
    &[0xe8, 0xa3],                         // lsrq 8, $r10
    // child:
    &[0x6e, 0xb6], // move.d $sp, $r11
    &[0x08, 0xb2], // addq 8, $r11
    &[0x6b, 0xaa], // move.d [$r11], $r10
    &[0x40, 0xc2], // moveq 0, $r12
    &[0x4b, 0x92], // moveq 11, $r9
    &[0x3d, 0xe9], // break 13
    &[0xbd, 0xe0], // ba exit
    &[0x5e, 0xa2], // moveq 30, $r10
    // fail:
    &[0xb9, 0xe0], // ba exit
    &[0x5f, 0xa2], // moveq 31, $r10
];
