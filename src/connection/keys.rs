//! What is exported of the handshake's secrets.

use super::Connection;
use crate::error::ExportError;

impl Connection {
    /// Fills `out` with keying material that both sides of this connection can export and nobody else (RFC 8446,
    /// Section 7.5), from [`Connected`](crate::ConnectionEvent::Connected) on. Key updates do not change it.
    ///
    /// Another label or context, or another length, gives something else. No context and an empty one are the same.
    ///
    /// # Errors
    ///
    /// [`ExportError`]: too early, or more than can be derived.
    pub fn export_keying_material(
        &self,
        out: &mut [u8],
        label: &[u8],
        context: Option<&[u8]>,
    ) -> Result<(), ExportError> {
        let exporter = self.summary.as_ref().and_then(|summary| summary.exporter.as_ref());
        let exporter = exporter.ok_or(ExportError::HandshakeNotComplete)?;
        exporter.export(out, label, context.unwrap_or_default())
    }
}
