"""Which values are secrets, and how they are masked before an event or an attempt is recorded. Pure."""
