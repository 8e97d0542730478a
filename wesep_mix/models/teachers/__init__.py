"""Speech of one talker -> one embedding: one file a teacher."""
