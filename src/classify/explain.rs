//! What every kind and reason means, in the words that `reconcile explain` prints.
