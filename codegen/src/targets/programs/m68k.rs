//! m68k.
//!
//! `m68k-linux-gnu-as`

pub(super) const CODE: &[&[u8]] = &[
    &[0x72, 0x02], // moveq #2, %d1
    &[0xb2, 0x97], // cmp.l (%sp), %d1
    &[0x6f, 0x06], // ble.s more
    &[0x72, 0x1d], // moveq #29, %d1
    // exit:
    &[0x70, 0x01], // moveq #1, %d0
    &[0x4e, 0x40], // trap #0
    // more:
    &[0x72, 0x01],             // moveq #1, %d1
    &[0x24, 0x2f, 0x00, 0x04], // move.l 4(%sp), %d2
    &[0x76, 0x08],             // moveq #8, %d3
    &[0x70, 0x04],             // moveq #4, %d0
    &[0x4e, 0x40],             // trap #0
    &[0x72, 0x08],             // moveq #8, %d1
    &[0xb2, 0x80],             // cmp.l %d0, %d1
    &[0x66, 0x32],             // bne.s fail
    &[0x70, 0x02],             // moveq #2, %d0
    &[0x4e, 0x40],             // trap #0
    &[0x4a, 0x80],             // tst.l %d0
    &[0x6d, 0x2a],             // blt.s fail
    &[0x67, 0x14],             // beq.s child
    &[0x72, 0xff],             // moveq #-1, %d1
    &[0x24, 0x0f],             // move.l %sp, %d2
    &[0x76, 0x00],             // moveq #0, %d3
    &[0x78, 0x00],             // moveq #0, %d4
    &[0x70, 0x72],             // moveq #114, %d0
    &[0x4e, 0x40],             // trap #0
    &[0x72, 0x00],             // moveq #0, %d1
    &[0x12, 0x2f, 0x00, 0x02], // move.b 2(%sp), %d1
    &[0x60, 0xcc],             // bra.s exit
    // child:
    &[0x22, 0x2f, 0x00, 0x08], // move.l 8(%sp), %d1
    &[0x41, 0xef, 0x00, 0x08], // lea 8(%sp), %a0
    &[0x24, 0x08],             // move.l %a0, %d2
    &[0x76, 0x00],             // moveq #0, %d3
    &[0x70, 0x0b],             // moveq #11, %d0
    &[0x4e, 0x40],             // trap #0
    &[0x72, 0x1e],             // moveq #30, %d1
    &[0x60, 0xb8],             // bra.s exit
    // fail:
    &[0x72, 0x1f], // moveq #31, %d1
    &[0x60, 0xb4], // bra.s exit
];
