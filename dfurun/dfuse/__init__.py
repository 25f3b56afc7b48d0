"""DfuSe: the protocol as pure values, and the session that makes its operations reliable over a link."""
