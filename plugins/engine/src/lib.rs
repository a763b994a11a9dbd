//! The engine: proposals verified, admitted and executed through the client's own tools.
