"""Following TensorBoard event files and logs while they are written, without TensorBoard."""
