//! LZ4 blocks, each preceded by its size.

use super::Unacceptable;

/// Compresses a payload; `None` without the feature `compression`.
#[cfg(feature = "compression")]
pub(super) fn compress(payload: &[u8]) -> Option<Vec<u8>> {
    Some(lz4_flex::block::compress_prepend_size(payload))
}

/// Decompresses a block; `limit` is checked before memory is allocated.
#[cfg(feature = "compression")]
pub(super) fn decompress(bytes: &[u8], limit: usize) -> Result<Vec<u8>, Unacceptable> {
    let (size, block) =
        lz4_flex::block::uncompressed_size(bytes).map_err(|_| Unacceptable::Malformed)?;
    if size > limit {
        return Err(Unacceptable::TooLarge);
    }
    lz4_flex::block::decompress(block, size).map_err(|_| Unacceptable::Malformed)
}

#[cfg(not(feature = "compression"))]
pub(super) fn compress(_: &[u8]) -> Option<Vec<u8>> {
    None
}

#[cfg(not(feature = "compression"))]
pub(super) fn decompress(_: &[u8], _: usize) -> Result<Vec<u8>, Unacceptable> {
    Err(Unacceptable::Compressed)
}
