"""LoRA fine-tuning on MLX that can be searched, compared, promoted and used. README.md has the map."""
